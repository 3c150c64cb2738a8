"""One run in the journal: what it did so far, and how it ended."""

from provisioner.model.actions import Action
from provisioner.model.plan import Finding
from provisioner.model.progress import Progress
from provisioner.model.release import Applied, Step
from provisioner.phases.roll_out import Hands, roll_out
from provisioner.world.store import Store


class Run:
    """Opened before the first effect, closed with an outcome; a run that is never closed was interrupted."""

    def __init__(self, verb: str, release: str | None, store: Store, hands: Hands, progress: Progress) -> None:
        self.verb = verb
        self.store = store
        self.hands = hands
        self.progress = progress
        self.steps: tuple[Step, ...] = ()
        self.number = store.begin(verb, release, store.current())

    def do(self, actions: tuple[Action, ...]) -> None:
        """Carry these out, after what was done before."""
        for action in actions:
            self.steps = roll_out((action,), self.hands, self.store, self.number, self.steps, self.progress)

    def close(self, outcome: str, findings: tuple[Finding, ...] = ()) -> Applied:
        """The receipt."""
        self.store.finish(self.number, outcome, findings)
        return Applied(run=self.number, verb=self.verb, steps=self.steps, ok=outcome == "good")


def mark_interrupted(store: Store) -> str | None:
    """Close the runs whose process died, and say in one sentence what had become of the last one."""
    sentence = None
    for entry in store.interrupted():
        current = store.current()
        in_force = current is not None and entry.release == current != entry.previous
        store.finish(entry.run, "good" if in_force else "interrupted")
        where = "after its release was in force" if in_force else f"at: {store.last_step(entry.run)}"
        sentence = sentence or f"run {entry.run} (`provision {entry.verb}`) was cut off {where}"
    return sentence
