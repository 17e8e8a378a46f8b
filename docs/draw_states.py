"""Draw the states of a package into `architecture.md`, from the table itself.

Run ``python docs/draw_states.py`` after a change of `siridb_fast/delivery/states.py`; the test
`tests/test_docs.py` fails until then. GitHub shows the drawing (Mermaid).
"""

from pathlib import Path

from siridb_fast.delivery.states import FATES, TRANSITIONS, Choice, PackageState, targets

PAGE = Path(__file__).parent / "architecture.md"
STARTS = PackageState.READY, PackageState.SPOOLING, PackageState.IN_DOUBT
BEGIN, END = "<!-- states: drawn by docs/draw_states.py -->", "<!-- end of states -->"


def drawing() -> str:
    """Return the diagram, and what each choice depends on, as Markdown."""
    lines = ["```mermaid", "stateDiagram-v2", "    direction LR"]
    lines += [f"    [*] --> {state.name}" for state in STARTS]
    arrows: dict[tuple[str, str], list[str]] = {}
    for state, event in TRANSITIONS:
        for target in targets(state, event):
            arrows.setdefault((state.name, target.name), []).append(event.name)
    lines += [f"    {a} --> {b}: {' · '.join(events)}" for (a, b), events in arrows.items()]
    lines += [f"    {state.name} --> [*]" for state in PackageState if state in FATES]
    lines += ["```", "", "| state | event | what follows |", "|---|---|---|"]
    for (state, event), rule in TRANSITIONS.items():
        follows = rule.value if isinstance(rule, Choice) else f"`{rule.name}`"
        lines.append(f"| `{state.name}` | `{event.name}`: {event.value} | {follows} |")
    return "\n".join(lines)


def drawn(page: str) -> str:
    """Return the page with the diagram as it is now."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{drawing()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(drawn(PAGE.read_text()))
