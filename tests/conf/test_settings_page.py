"""The page of settings is current, and every setting has a meaning."""

from pydantic import Field as Key

from conf.documents import Strict
from conf.settings import Settings
from conf.settings_page import comments, table


class Knob(Strict):
    """Two ways to comment."""

    beside: int = Key(default=3, ge=1, lt=9)  # how many | of ``them``
    # what stands above
    above: tuple[str, str] = ("a", "b")
    bare: str = ""


def test_a_comment_beside_or_above_is_the_meaning():
    assert list(table("x.", Knob, ["beside", "above", "bare"]))[2:] == [
        "| `x.beside` | `3` | ≥ 1, < 9 | how many / of `them` |",
        "| `x.above` | `[a, b]` |  | what stands above |",
        '| `x.bare` | `""` |  |  |',
    ]


def test_every_setting_has_a_meaning():
    models = [Settings, *(type(field.default) for field in Settings.model_fields.values())]
    mute = [
        f"{model.__name__}.{name}"
        for model in models
        if issubclass(model, Strict)
        for name, text in comments(model).items()
        if not text and not issubclass(type(model.model_fields[name].default), Strict)
    ]
    assert mute == []
