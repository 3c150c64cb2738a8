"""Two models on one machine, the first with two copies, as the views show them; behind a gateway and without one."""

from provisioner.model.outcome import Benched, ModelStatus, ServiceStatus, Status
from provisioner.model.plan import Parallel, Plan, PlannedModel
from provisioner.model.record import replace
from provisioner.model.report import Observed
from provisioner.model.upgrading import Difference, Speeds
from provisioner.planning.several.merged import apart
from tests.unit.views import samples

SMALL = replace(samples.MODEL, id="qwen3-0.6b", title="Qwen3 0.6B", precision="q8_0")
SERVICES = tuple(
    replace(samples.SERVICE, name=name, port=port, model_name=model)
    for name, port, model in (
        ("llm-qwen3-8b", 8000, "qwen3-8b"),
        ("llm-qwen3-8b-2", 8001, "qwen3-8b"),
        ("llm-qwen3-0-6b", 8002, "qwen3-0.6b"),
    )
)


def _planned(plan: Plan, *services: str) -> PlannedModel:
    assert plan.model is not None
    assert plan.engine is not None
    assert plan.memory is not None
    return PlannedModel(
        plan.model, plan.engine, plan.model.precision, plan.parallel, plan.context, plan.memory, plan.capacity, services
    )


PLAN = replace(
    samples.PLAN,
    services=SERVICES,
    parallel=Parallel(replicas=2),
    models=(
        _planned(replace(samples.PLAN, parallel=Parallel(replicas=2)), "llm-qwen3-8b", "llm-qwen3-8b-2"),
        _planned(replace(samples.PLAN, model=SMALL), "llm-qwen3-0-6b"),
    ),
)
CONTAINED = replace(PLAN, target="docker", beside=samples.CONTAINED.beside, makes=samples.CONTAINED.makes)

OBSERVED = Observed(tuple(replace(samples.SERVICE_OBSERVED, name=one.name) for one in SERVICES))
OUTCOME = replace(samples.OUTCOME, plan=PLAN, observed=OBSERVED)

QUICKER = replace(samples.BASELINE, model=SMALL.id, speed=replace(samples.SPEED, concurrency=2))
FIRST, SECOND = apart(PLAN)
STATUS = Status(
    samples.DIGEST,
    PLAN,
    tuple(ServiceStatus(one, replace(samples.RUNNING, service=one.name)) for one in SERVICES),
    models=(ModelStatus(FIRST, samples.LEARNED, samples.BASELINE), ModelStatus(SECOND, (), QUICKER)),
)
BENCHED = Benched(FIRST, samples.BASELINE, (Benched(SECOND, QUICKER),))
UPGRADED = replace(
    samples.UPGRADED,
    outcome=OUTCOME,
    differences=(
        Difference("model", "qwen3-8b, phi-4", "qwen3-8b, qwen3-0.6b"),
        Difference("llm-phi-4", "phi-4 on llamacpp at 127.0.0.1:8002", ""),
        Difference("llm-qwen3-0-6b", "", "qwen3-0.6b on llamacpp at 127.0.0.1:8002"),
    ),
    speeds=(*samples.UPGRADED.speeds, Speeds(SMALL.id, None, QUICKER)),
)
