"""A split by layers weighed against experts in host memory: whichever is predicted to make more tokens in a second."""

from provisioner.errors import BadInput
from provisioner.model.learned import Reckoned
from provisioner.model.plan import Decision, Rejected
from provisioner.model.plugins import Engine
from provisioner.model.record import dataclass
from provisioner.planning.asked.amounts import size
from provisioner.planning.asked.settings import Wish
from provisioner.planning.machine.ground import Ground, Room
from provisioner.planning.memory.budget import Fit, fit
from provisioner.planning.memory.sizing import Need
from provisioner.planning.sources.stock import Subject
from provisioner.planning.speed.bandwidth import Speed
from provisioner.planning.speed.hybrid import Load
from provisioner.planning.tries.offload import by_experts, rows_of

FLAG = "n-cpu-moe"
LAYERS_FLAG = "n-gpu-layers"


@dataclass(frozen=True, slots=True)
class Way:
    """One way to lay a model over devices and the host, with how fast that is said to be."""

    fit: Fit
    reckoned: tuple[Reckoned, ...]
    speed: Speed | None

    @property
    def rate(self) -> float:
        return self.speed.tokens_per_second if self.speed else 0.0


def count_of(wish: Wish, flag: str) -> int | None:
    """A number of layers that was set by name."""
    text = wish.options.get(flag)
    if text is None:
        return None
    if not text.isdecimal():
        raise BadInput(f"engine.{flag} is `{text}`", fix="give a whole number of layers")
    return int(text)


def out_of_place(wish: Wish, subject: Subject, placement: str) -> str:
    """Why experts cannot be on the host as it was asked for by name; empty where they can, or where nobody asked."""
    asked, layers = count_of(wish, FLAG), count_of(wish, LAYERS_FLAG)
    if not asked:
        return ""
    if not subject.geometry.experts:
        return f"engine.{FLAG} is for experts, and {subject.title} has none"
    if placement == "host":
        return f"engine.{FLAG} keeps all but experts on a device: it has no placement `host`"
    if layers is not None and layers <= subject.geometry.layers:
        return (
            f"engine.{FLAG} is planned with all layers on devices, and engine.{LAYERS_FLAG}={layers} is not all of them"
        )
    return ""


def ways_to_lay(
    need: Need, load: Load, subject: Subject, placement: str, ground: Ground, engine: Engine, wish: Wish
) -> tuple[Fit, ...]:
    """By layers as the placement says; and by experts where a split is allowed or it was asked for by name."""
    asked, layers = count_of(wish, FLAG), count_of(wish, LAYERS_FLAG)
    plain = fit(need, placement, ground, layers)
    rooms = tuple(room for _, room in ground.devices)
    able = FLAG in engine.options and load.expert_layers and load.reads.expert_bytes > 0 and placement != "host"
    if not able or not rooms or not isinstance(ground.host, Room) or asked == 0:
        return (plain,)
    if asked is None and (placement != "split" or layers is not None or plain.all_on_devices):
        return (plain,)
    experts = by_experts(need, rows_of(load, subject.geometry), ground.host, rooms, asked)
    return (plain, experts) if asked is None else (experts,)


def best_of(ways: tuple[Way, ...]) -> Way:
    """The fastest of those that fit, or where no speed is known what reads least on the host; else the one that lacks least."""
    fitting = [way for way in ways if not way.fit.problem]
    if fitting:
        return max(fitting, key=lambda way: (way.rate, way.fit.host_experts))
    return min(ways, key=lambda way: way.fit.missing_bytes or float("inf"))


def decisions_of(chosen: Way, ways: tuple[Way, ...], wish: Wish, load: Load) -> tuple[Decision, ...]:
    """Said where there was something to weigh, or where the operator settled it."""
    if len(ways) == 1 and not chosen.fit.host_experts:
        return ()
    others = tuple(Rejected(_named(way.fit, load), _told(way)) for way in ways if way is not chosen)
    because = "set by name" if count_of(wish, FLAG) else _told(chosen)
    if chosen.fit.host_experts:
        because += f"; a token reads {load.reads.experts_used} of {load.reads.experts} experts in each layer"
    return (Decision("offload", _named(chosen.fit, load), because, others),)


def _named(fitting: Fit, load: Load) -> str:
    layers = load.reads.layers
    if fitting.host_experts:
        return f"the experts of the first {fitting.host_experts} of {layers} layers in host memory"
    return f"{layers + 1 - fitting.device_layers} of {layers + 1} layers wholly in host memory"


def _told(way: Way) -> str:
    if way.fit.problem:
        return f"{size(way.fit.missing_bytes)} short on {way.fit.missing_on}"
    return f"about {way.rate:.2g} tokens/s" if way.speed else "its speed is not known"
