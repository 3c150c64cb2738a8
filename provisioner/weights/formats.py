"""Which weight files may be used at all: GGUF and safetensors hold data, the others can hold programs."""

PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".h5", ".keras", ".joblib", ".npy", ".npz")
KNOWN = (".gguf", ".safetensors", ".llamafile", *PICKLES)


def is_weights(name: str) -> bool:
    """Whether a file's name says that it holds weights, usable or not."""
    return name.lower().endswith(KNOWN)


def refusal(name: str) -> str | None:
    """Why a file of this name is not served; None for GGUF."""
    word = name.lower()
    if word.endswith(".gguf"):
        return None
    if word.endswith(".safetensors"):
        return "safetensors are sound, but say what they hold only with the `config.json` of their folder: bring the whole folder, or bring the model as GGUF"
    if word.endswith(".llamafile"):
        return "a llamafile is a program with weights in it, and is not run: bring the GGUF file alone"
    if word.endswith(PICKLES):
        return "files of this kind can run code when they are loaded, and are never opened: bring the model as safetensors or GGUF"
    return "it is no weight file that is known here: bring the model as GGUF"
