"""One province lived again: the truth of "treated less control" for intervals to be tried on.

A province's customers and products stay as they are; labels of control, orders and answers are drawn anew, on arrays,
without a file::

    world = make_world(LoggedPlan(catalogue, load_preset("real"), 5000, start, days=8, seed=7))
    for k in range(40):
        drawn = redraw(world, k + 1)     # another life of the same customers: about a second for 5,000
        drawn.treated, drawn.margin      # what a reader of the lake sees, by customer
        drawn.true_effect                # what an interval should hold

Where 1,000 redraws are needed, only the labels are drawn again, which costs a millisecond each: ``relabel`` takes a
life in which nobody is control and knows both of each customer's margins::

    everyone = redraw(world, 1, control=0.0)
    for k in range(1000):
        drawn = relabel(everyone, share=0.1, k=k)

(capacities are shared by all customers, so in such a life each is contacted a little less often).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from synth.events import Table
from synth.explore import CONTROL
from synth.history import Course, live
from synth.keyed import key, uniform
from synth.plan import Ints
from synth.policy import roles
from synth.twin import Window, orders_of_both
from synth.world import World


@dataclass(frozen=True)
class PeriodTruth:
    """A period of the past policy by customer (n rows): what came, and what would have come without contacts.

    Attributes:
        customer: positions in the province; those who hold their number on all decision dates of the period.
        treated: false for control, true for all others (contacted or not: intention to treat).
        margin: micro-元 of the period's orders, each once, those cancelled within ``cancel_days`` left out.
        twin_margin: the same in the world without contacts, whatever the label.
        unmoved: margin without the orders before which, within ``conversion_days``, a contact that offered the product
            reached the customer.
        contacts: attempts made in the period.
        value: the customer's standard normal value, city: its position; what draws of control may be stratified by.
    """

    customer: Ints
    treated: np.ndarray
    margin: Ints
    twin_margin: Ints
    unmoved: Ints
    contacts: Ints
    value: np.ndarray
    city: Ints

    @property
    def true_effect(self) -> float:
        """Mean of what contacts brought those treated, micro-元 a customer: the truth of treated less control."""
        return float((self.margin - self.twin_margin)[self.treated].mean()) if self.treated.any() else 0.0

    @property
    def measured_effect(self) -> float:
        """Mean margin of treated less that of control, micro-元 a customer, as one who sees files would have it."""
        return float(self.margin[self.treated].mean() - self.margin[~self.treated].mean())


def redraw(
    world: World, k: int, control: float | None = None, conversion_days: int = 7, cancel_days: int = 30
) -> PeriodTruth:
    """Live the past policy's nights again with luck ``k`` and tell each customer's margin with and without contacts.

    The period is that of the logged nights, first to last decision date; its orders are those placed from the first
    date to ``conversion_days`` after the last.

    Args:
        world: of ``make_world``; its customers, products and traits stay.
        k: which redraw; 0 is the province's own life, the one its files tell.
        control: share of control; None: as the preset has it.
        conversion_days: an order this soon after the last decision date still counts.
        cancel_days: an order cancelled this soon does not count.
    """
    preset = world.plan.preset
    if control is not None:
        policy = preset.policy.model_copy(update={"control": control})
        preset = preset.model_copy(update={"policy": policy})
    plan = dataclasses.replace(world.plan, preset=preset, redraw=k)
    # what products are like is drawn by the province's seed, which stays; what happens by `luck`
    again = World(plan, world.columns)
    course = live(again)
    both = orders_of_both(again, course)
    nights = plan.night_days
    window = Window(nights.start, nights.stop + conversion_days, cancel_days)
    rows = np.arange(world.size)
    idle = ~find_answers(again, course, both, conversion_days)
    unmoved = window.sum_by_customer({name: column[idle] for name, column in both.items()}, world.size)
    there = np.flatnonzero(world.is_living(rows, nights.start) & world.is_living(rows, nights.stop - 1))
    return PeriodTruth(
        customer=there,
        treated=roles(plan, there, nights.start) != CONTROL,
        margin=window.sum_by_customer(both, world.size)[there],
        twin_margin=window.sum_by_customer(both, world.size, twin=True)[there],
        unmoved=unmoved[there],
        contacts=np.bincount(course.contacts["customer"], minlength=world.size)[there],
        value=np.asarray(world["value"])[there].astype(float),
        city=np.asarray(world["city"])[there].astype(np.int64),
    )


def find_answers(world: World, course: Course, both: Table, conversion_days: int) -> np.ndarray:
    """Whether each order of ``both`` has a contact before it that offered its product and reached the customer."""
    products, contacts = len(world.plan.products), course.contacts
    reached = contacts["reached"]
    offer = (contacts["customer"] * products + contacts["product"])[reached]
    since = contacts["night"][reached] * 86400
    order = np.lexsort((since, offer))
    offer, since = offer[order], since[order]
    wanted, late = both["customer"] * products + both["product"], 10**11  # later than any second
    last = np.searchsorted(offer * late + since, wanted * late + both["time"], side="right") - 1
    at = np.maximum(last, 0)
    if not len(offer):
        return np.zeros(len(wanted), dtype=bool)
    return np.asarray((last >= 0) & (offer[at] == wanted) & (both["time"] < since[at] + conversion_days * 86400))


def relabel(everyone: PeriodTruth, share: float, k: int) -> PeriodTruth:
    """The same life with labels drawn anew: a share of customers is control and has its margin without contacts.

    Args:
        everyone: of ``redraw(world, …, control=0.0)``.
        share: chance to be control.
        k: which draw of labels.
    """
    treated = uniform(everyone.customer, key(k, "labels"), "control") >= share
    return dataclasses.replace(
        everyone,
        treated=treated,
        margin=np.where(treated, everyone.margin, everyone.twin_margin),
        unmoved=np.where(treated, everyone.unmoved, everyone.twin_margin),
        contacts=np.where(treated, everyone.contacts, 0),
    )
