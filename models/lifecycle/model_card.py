"""The model card and the plots of a training: what the model is for, what it saw, how far it can be trusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from models.affinity.bundle import Bundle
from models.affinity.drift import Drift
from models.affinity.training import Learnt
from models.affinity.uplift import Gain, gain

_TOP = 25


def card(learnt: Learnt, moved: Sequence[Drift], metrics: Mapping[str, float], channels: Mapping[int, str]) -> str:
    """The model card, Markdown.

    Args:
        learnt: the training.
        moved: its features and how they moved.
        metrics: of the run.
        channels: codes of channels by id.
    """
    bundle, facts = learnt.bundle, learnt.bundle.facts
    left_out = sorted(list_left_out(moved, bundle), key=lambda d: -d.psi)
    lines = [
        f"# Affinity model, trained for {facts['date']}",
        "",
        "**For**: the value in 元 of each eligible product × channel for each customer, every night. Not for prices,",
        "credit or any other decision about a person. Minors and who refused profiling have no behaviour here.",
        "",
        f"**Data**: {facts['decisions']:,} matured decisions of {facts['first_decision']} … {facts['last_decision']} "
        f"({facts['sampled']:,} sampled, {learnt.contacts:,} contacts), snapshots of {len(facts['snapshots'])} dates; "
        f"outcome version {facts['outcome_version']}, customer_features version {facts['features_version']}.",
        f"**Label**: answered by an order within {facts['conversion_days']} days, last touch; margin of orders in "
        f"{facts['horizon_days']} days.",
        "",
        "| out of time (late nights) | contacts | no contact |",
        "|---|---:|---:|",
        *(
            f"| {label} | {_figure(metrics, name + '_contact')} | {_figure(metrics, name + '_base')} |"
            for name, label in (
                ("auc", "AUC"),
                ("auc_within", "AUC within product × channel"),
                ("logloss_gain", "log-loss gained over the mean"),
                ("ratio", "Σ predicted / Σ observed"),
                ("slope", "calibration slope"),
                ("conversions", "orders"),
            )
        ),
        "",
        *_slices(learnt),
        "",
        f"**Calibration**: {bundle.contact.kind} for contacts, {bundle.base.kind} without; then by product × channel.",
        "**What tells customers apart** (weight of each signal's trees in the log-odds of an order): "
        + ", ".join(f"{name} {weight:.2f}" for name, weight in learnt.response.weights.items())
        + ".",
        "**How far customers differ by channel** (1 = as on the others): "
        + (", ".join(f"{channels.get(c, c)} {slope:.2f}" for c, slope in sorted(bundle.channels.slope.items())) or "–")
        + f". **Wear-out**: each recent contact takes {1 - np.exp(-bundle.fatigue):.0%} off an answer.",
        f"**Orders that a contact brings** (1 = as the response says): {bundle.lifts.whole.value:.2f}, "
        f"{bundle.lifts.whole.own:.0%} of it from data, the rest prior. Cells whose own data weighs half or more: "
        f"{sum(lift.own >= 0.5 for lift in bundle.lifts.cells.values())} of {len(bundle.lifts.cells)}.",
        f"**Among explorers**, for whom chance chose: a contact brings {_figure(metrics, 'effect_explorers')} orders, standard "
        f"error {_figure(metrics, 'effect_explorers_error')}; area under the Qini curve of the predicted effect "
        f"{_figure(metrics, 'qini_explorers')} orders a contact "
        f"({_figure(metrics, 'qini_explorers_low')} … {_figure(metrics, 'qini_explorers_high')}); 0 says nothing.",
        f"**Where an optimizer would choose** (the fifth of explorers' contacts that is worth most): "
        f"orders brought / predicted {_figure(metrics, 'chosen_ratio')}, standard error {_figure(metrics, 'chosen_error')}; "
        f"lifts are multiplied by {_figure(metrics, 'chosen_factor')} for it.",
        f"**Fatigue**: a contact adds {bundle.opt_out.whole:.5f} opt-outs and {bundle.complaint.whole:.5f} complaints.",
        "",
        f"**Left out** ({len(left_out)} features: empty, drifted, or not worth keeping): "
        + (
            ", ".join(
                f"{d.name} (PSI {d.psi:.2f}, missing {d.missing_then:.0%} → {d.missing_now:.0%})"
                for d in left_out[:_TOP]
            )
            or "none"
        )
        + (" …" if len(left_out) > _TOP else ""),
        "",
        "**Not yet known** (declared since the snapshots of these decisions): "
        + (", ".join(facts.get("not_yet") or ()) or "none"),
        "",
        "**What it cannot know**: the effect of months of use, of other capacities, of arcs that were never explored.",
        "Inbound channels without a log score as the response of their products (`basis`: `group`, `prior`).",
    ]
    return "\n".join(lines) + "\n"


def list_left_out(moved: Sequence[Drift], bundle: Bundle) -> list[Drift]:
    """Features that training looked at and the model does not use: empty, drifted, or not worth keeping."""
    used = {feature.name for feature in bundle.features}
    return [drift for drift in moved if drift.name not in used]


def _figure(metrics: Mapping[str, float], name: str) -> str:
    value = metrics.get(name)
    return "–" if value is None else f"{value:,.4g}"


def _slices(learnt: Learnt) -> list[str]:
    """Figures by region, grade and age as a Markdown table."""
    rows = learnt.response.slices
    if not rows:
        return ["**By slice**: no slice has enough orders to tell."]
    lines = ["| late contacts by slice | rows | orders | AUC | Σ predicted / Σ observed |", "|---|---:|---:|---:|---:|"]
    for row in rows:
        figures = (f"{row[name]:,.4g}" if name in row else "–" for name in ("rows", "conversions", "auc", "ratio"))
        lines.append(f"| {row['slicing']} {row['value']} | " + " | ".join(figures) + " |")
    return lines


def shap_summary(learnt: Learnt, folder: Path) -> None:
    """What each column adds to the log-odds, contact by contact, as PNG."""
    import matplotlib.pyplot as plt
    import shap

    explained = learnt.response.explained
    if not len(explained.parts):
        return
    random = np.random.default_rng(0)  # where points that would hide each other are put
    shap.summary_plot(
        explained.parts,
        explained.values,
        feature_names=list(explained.names),
        max_display=_TOP,
        show=False,
        rng=random,
        plot_size=(9, 8),
    )
    plt.gca().set_xlabel("added to the log-odds of the prior (SHAP), late contacts")
    plt.savefig(folder / "shap.png", dpi=110, bbox_inches="tight")
    plt.close()


def explorers_gain(learnt: Learnt) -> Gain:
    """Qini of the predicted effect among explorers' contacts, for whom chance chose: orders beyond p_base."""
    drawn = learnt.explored
    return gain(drawn.predicted, drawn.residual, drawn.weight * drawn.times, learnt.explorers)


def qini_plot(qini: Gain, folder: Path) -> None:
    """The Qini curve as PNG."""
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(7, 5), constrained_layout=True)
    axis.plot(qini.share, qini.gained, label="by predicted effect")
    axis.plot([0, 1], [0, qini.gained[-1]], "k:", linewidth=1, label="by chance")
    axis.set(
        title=f"Qini among explorers: area {qini.area:.5f} ({qini.ci[0]:.5f} … {qini.ci[1]:.5f})",
        xlabel="share of explorers' contacts, weighted 1 / pscore",
        ylabel="orders beyond p_base, a contact",
    )
    axis.legend()
    figure.savefig(folder / "qini.png", dpi=110)
    plt.close(figure)


def plots(learnt: Learnt, qini: Gain, folder: Path) -> None:
    """Reliability, importance and lifts as PNG; the explorers' Qini curve; and what each column adds."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(15, 4.5), constrained_layout=True)
    for name, rows in learnt.response.tables.items():
        axes[0].plot([r["predicted"] for r in rows], [r["observed"] for r in rows], "o-", label=name, markersize=4)
    top = max([r["predicted"] for rows in learnt.response.tables.values() for r in rows] + [1e-6])
    axes[0].plot([0, top], [0, top], "k:", linewidth=1)
    axes[0].set(title="Reliability, late nights", xlabel="predicted", ylabel="observed")
    axes[0].legend()
    gain = sorted(learnt.response.gain.items(), key=lambda item: item[1])[-_TOP:]
    axes[1].barh([name[:34] for name, _ in gain], [value for _, value in gain])
    axes[1].set(title="Importance (gain)")
    axes[1].tick_params(axis="y", labelsize=7)
    cells = [(name, lift) for name, lift in sorted(learnt.bundle.lifts.cells.items()) if lift.rows]
    axes[2].barh([name for name, _ in cells], [lift.value for _, lift in cells])
    axes[2].axvline(learnt.bundle.lifts.whole.value, color="k", linestyle=":")
    axes[2].set(title="Orders that a contact brings, × the response")
    axes[2].tick_params(axis="y", labelsize=7)
    figure.savefig(folder / "model.png", dpi=110)
    plt.close(figure)
    qini_plot(qini, folder)
    shap_summary(learnt, folder)
