"""What a machine has to give: memory, processors, accelerators, and how near they are to each other."""
