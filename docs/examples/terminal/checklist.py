"""A checklist before departure: arrow keys move, space ticks, q leaves."""

from textual.app import App, ComposeResult
from textual.widgets import Footer, Header, SelectionList

__version__ = "2.0.1"


class Checklist(App[int]):
    TITLE = "Before departure"
    BINDINGS = [("q", "leave", "Leave")]

    def compose(self) -> ComposeResult:
        yield Header()
        yield SelectionList(("Hatches closed", 0), ("Bilge dry", 1), ("Radio checked", 2))
        yield Footer()

    def on_ready(self) -> None:
        self.show_count()

    def on_selection_list_selected_changed(self) -> None:
        self.show_count()

    def show_count(self) -> None:
        self.sub_title = f"{len(self.query_one(SelectionList).selected)} of 3"

    def action_leave(self) -> None:
        self.exit(len(self.query_one(SelectionList).selected))


def main() -> None:
    ticked = Checklist().run()
    print(f"{ticked} of 3 done")
