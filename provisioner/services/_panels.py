"""Dashboards as code: panels in rows of three, in the form that Grafana reads from files."""

from provisioner.model.record import dataclass, field

Json = dict[str, object]

SOURCE: Json = {"type": "prometheus", "uid": "prometheus"}
SCHEMA_VERSION = 39
"""Grafana brings older ones up to its own: https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model."""

ACROSS = 24
"""Grafana's grid is so wide, whatever the screen is."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture: queries, each with the name of its lines, and their unit as Grafana knows it."""

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    says: str = ""
    most: float | None = None
    """Where the axis ends, of what has a natural end."""
    stat: bool = False
    """A number instead of lines: how it stands now."""
    levels: tuple[tuple[float, str], ...] = field(default_factory=tuple)
    """From which value a number has which colour."""


def dashboard(uid: str, title: str, panels: tuple[Panel, ...]) -> Json:
    return {
        "uid": uid,
        "title": title,
        "tags": ["provision"],
        "timezone": "browser",
        "schemaVersion": SCHEMA_VERSION,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": []},
        "annotations": {"list": []},
        "panels": [_panel(panel, number) for number, panel in enumerate(panels)],
    }


def _panel(panel: Panel, number: int) -> Json:
    width, height = ACROSS // 3, 8
    return {
        "id": number + 1,
        "type": "stat" if panel.stat else "timeseries",
        "title": panel.title,
        "description": panel.says,
        "datasource": SOURCE,
        "gridPos": {"h": height, "w": width, "x": number % 3 * width, "y": number // 3 * height},
        "targets": [
            {
                "refId": chr(ord("A") + place),
                "datasource": SOURCE,
                "expr": expression,
                "legendFormat": legend,
                "instant": panel.stat,
                "range": not panel.stat,
            }
            for place, (expression, legend) in enumerate(panel.queries)
        ],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "options": _options(panel),
    }


def _defaults(panel: Panel) -> Json:
    levels: list[Json] = [{"color": "green", "value": None}]
    levels += [{"color": colour, "value": value} for value, colour in panel.levels]
    found: Json = {"unit": panel.unit, "min": 0, "thresholds": {"mode": "absolute", "steps": levels}}
    return found if panel.most is None else {**found, "max": panel.most}


def _options(panel: Panel) -> Json:
    if panel.stat:
        return {
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "colorMode": "background",
            "graphMode": "none",
            "textMode": "auto",
        }
    return {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
