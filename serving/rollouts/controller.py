"""Carries rollouts from their start to their end: looks once a second, and what it finds is stored before it is done.

Nothing is kept here between two looks but the number under which this controller writes: any other one goes on from
the same store, after any crash. Weights change by its orders alone, so that without it they stay as they are.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from serving.errors import BadRequest, InUse, NotReady, ServingError, Unavailable, UnknownModel
from serving.rollouts import look, rollout, shadow, transition
from serving.rollouts.beginning import asked_for, check_pin, check_score, stable_of
from serving.rollouts.hook_message import key_of, message, owing, question
from serving.rollouts.look import Facts
from serving.rollouts.looked import Looked
from serving.rollouts.own_replicas import OwnReplicas
from serving.rollouts.rollout import Rollout
from serving.rollouts.session import Session
from serving.rollouts.shares import counted_as, measured_as, shadowed_as, shares_of
from serving.rollouts.store import Document, Store
from serving.rollouts.transition import Order, Phase, Standing
from serving.rollouts.webhooks import Webhooks

log = logging.getLogger(__name__)

# The order that is in force is given again every so many looks, should a table have been lost with its server.
_AGAIN_AFTER_LOOKS = 5
# Counts that take a server too long, or that are none: all else of the rollout may be there.
_UNREADABLE = (Unavailable, ValueError)


class Controller:
    """`now` is the time of day in seconds; looks and people's orders come one after the other."""

    def __init__(
        self, store: Store, session: Session, now: Callable[[], float], webhooks: Webhooks | None = None
    ) -> None:
        self._store = store
        self._session = session
        self._now = now
        self._webhooks = webhooks or Webhooks(now)
        self._holder = secrets.token_hex(8)
        self._one_at_a_time = asyncio.Lock()
        self._in_force: dict[str, str] = {}
        self._own = OwnReplicas(session)
        self._looks = 0

    async def stop(self) -> None:
        """End what is on its way to webhooks, which the next controller sends, and to replicas that are started."""
        await self._own.stop()
        await self._webhooks.stop()

    async def look(self) -> None:
        """One look at every rollout that is not over.

        Raises:
            ServingError: the store cannot be reached, or another controller took over meanwhile.
        """
        async with self._one_at_a_time:
            number = await asyncio.to_thread(self._store.acquire, self._holder)
            if not number:
                self._webhooks.drop()
                return
            self._looks += 1
            if self._looks % _AGAIN_AFTER_LOOKS == 0:
                self._in_force.clear()
            frozen = await asyncio.to_thread(self._store.frozen)
            for document in await asyncio.to_thread(self._store.live):
                try:
                    await self._look_at(rollout.load(document), number, frozen=frozen)
                except (ServingError, ValueError) as error:
                    # What was stored is done with the next look; the other rollouts need not wait for it.
                    log.warning("rollout %s stays as it is for now: %s", document.get("id"), error)
                except Exception:
                    # Nor for a defect that one of them shows.
                    log.exception("a look at rollout %s failed", document.get("id"))

    async def start(self, model: str, canary: int, plan: Document, *, by: str, sticky: bool | None) -> Rollout:
        """Begin to roll out a version that is served beside the one that answers.

        Raises:
            ServingError: why it cannot begin.
        """
        await self._not_frozen()
        # Before it is anybody's turn: an engine may take its time to say whether there is room.
        begun = await self.checked(model, canary, plan, by=by, sticky=sticky)
        async with self._one_at_a_time:
            number = await self._number()
            await self._not_frozen()
            await self._only_one(model)
            entry = {
                "at_s": self._now(),
                "who": by,
                "what": "start",
                "from": "",
                "to": begun.phase,
                "step": 0,
                "why": "",
            }
            await asyncio.to_thread(self._store.drop_oldest)
            await self._kept(Looked(begun, entry), number)
            return begun

    async def checked(self, model: str, canary: int, plan: Document, *, by: str, sticky: bool | None) -> Rollout:
        """The rollout as it would begin; nothing is changed.

        Raises:
            ServingError: why it cannot begin.
        """
        await self._only_one(model)
        wanted = asked_for(plan)
        for hook in wanted.webhooks:
            # Now, while somebody is there who can help it.
            await asyncio.to_thread(key_of, hook.secret)
        stable = stable_of(await self._session("models"), model, canary)
        score = await self._session("score", model=model, version=stable)
        check_score(wanted, model, score["output"])
        wish = wanted.isolation.wish(wanted.steps[-1].weight_bp)
        place = await self._session("room", model=model, stable=stable, canary=canary, wish=wish)
        now_s = self._now()
        return Rollout(
            f"{model}-{canary}-{secrets.token_hex(4)}",
            model,
            stable,
            canary,
            plan,
            started_s=now_s,
            began_s=now_s,
            by=by,
            sticky=sticky,
            score=(score["output"], score["index"]),
            threshold=score.get("threshold"),
            goal_us=score.get("goal_us", 0),
            runs=place["says"],
            own=None if place["own"] is None else {**place["own"], "pool": place["pool"]},
        )

    async def order(self, rollout_id: str, order: Order, by: str) -> Rollout:
        """Do what a person says.

        Raises:
            ServingError: it makes no sense where the rollout stands, or there is none.
        """
        async with self._one_at_a_time:
            number = await self._number()
            document = await asyncio.to_thread(self._store.get, rollout_id)
            if document is None:
                raise UnknownModel(f"there is no rollout {rollout_id!r}; `sluice rollout status` lists them")
            held = rollout.load(document)
            after = _after_order(held, order, self._now())
            return await self._kept(look.ordered(held, by, str(order), after, self._now()), number)

    async def freeze(self, by: str, *, frozen: bool) -> None:
        """From now on nothing changes but by people's orders, not even back; or: all goes on.

        Raises:
            ServingError: the store cannot be reached, or another controller judges.
        """
        async with self._one_at_a_time:
            number = await self._number()
            await asyncio.to_thread(lambda: self._store.freeze(number, frozen=frozen))
            order = Order.FREEZE if frozen else Order.UNFREEZE
            for document in await asyncio.to_thread(self._store.live):
                held = rollout.load(document)
                if held.standing is not None and not held.over:
                    standing = transition.after_order(held.standing, held.in_force(), order, self._now())
                    await self._kept(look.ordered(held, by, str(order), standing, self._now()), number)

    async def pin(self, model: str, version: int, by: str) -> None:
        """All traffic of a model to one version, now; a rollout of it ends with that.

        Raises:
            ServingError: the version is not served, or was refused; or the order could not be given.
        """
        async with self._one_at_a_time:
            number = await self._number()
            await check_pin(self._session, model, version)
            live = await asyncio.to_thread(self._store.live)
            ended = [rollout.load(one) for one in live if one["model"] == model and not one["settled"]]
            split = {"variant": "stable", "version": version, "weight_bp": 10_000}
            await self._session("split", model=model, splits=[split], trial=None, salt=model, fence=number)
            for held in ended:
                standing = Standing(Phase.ABORTED, 0, self._now(), f"all traffic was given to version {version}")
                pinned = replace(held, pinned=version)
                await self._kept(look.ordered(pinned, by, "pin", standing, self._now()), number)

    async def _not_frozen(self) -> None:
        if await asyncio.to_thread(self._store.frozen):
            raise InUse("rollouts are frozen: nothing changes before `sluice rollout unfreeze`")

    async def _only_one(self, model: str) -> None:
        for document in await asyncio.to_thread(self._store.live):
            # One that is settled only has news on its way.
            if document["model"] == model and not document["settled"]:
                raise InUse(f"rollout {document['id']} of {model!r} is not over; abort it, or wait for it")

    async def _number(self) -> int:
        number = await asyncio.to_thread(self._store.acquire, self._holder)
        if not number:
            raise NotReady("another control app judges rollouts, or did until a few seconds ago; try again in a moment")
        return number

    async def _look_at(self, held: Rollout, number: int, *, frozen: bool) -> None:
        held = await self._told(held, number)
        if held.over:
            if not held.settled:
                await self._kept(Looked(held), number)
            return
        # Also one that does not know of it yet: whoever froze may have died halfway.
        if frozen or (held.standing is not None and held.standing.frozen):
            return
        if held.standing is None:
            counted = await asyncio.to_thread(self._store.counts, measured_as(held), -1)
            found = look.measured(held, counted, await self._facts(held, number), self._now())
        elif held.standing.shadowing:
            found = await self._shadowed(held, number)
        else:
            found = await self._judged(held, number)
        before, held = held, await self._kept(found, number, before=held)
        if before.standing and held.standing and before.standing.judged_step < held.standing.judged_step:
            await asyncio.to_thread(self._store.forget_step, held.id, before.standing.judged_step)
        if held.confirming_s:
            questions = [
                (hook, question(held, place)) for place, hook in enumerate(held.in_force().webhooks) if hook.confirm
            ]
            self._webhooks.ask(held.id, _question_of(held), questions)

    async def _told(self, held: Rollout, number: int) -> Rollout:
        """Send what webhooks are owed, and keep what became of what was sent."""
        if not held.owed:
            return held
        hooks = held.in_force().webhooks
        for owed in held.owed:
            sent = self._webhooks.finished(owed.id)
            if sent is None:
                self._webhooks.deliver(hooks[owed.hook], message(owed))
                continue
            held = replace(held, owed=tuple(one for one in held.owed if one.id != owed.id))
            await self._save(held, number, look.untold(held, sent, self._now()) if sent.failure else None)
        return held

    async def _judged(self, held: Rollout, number: int) -> Looked:
        now_s = self._now()
        through = look.complete(held, now_s)
        if through > held.folded:
            # Closed before it is read: what a worker brings later is told as late, and in no evidence.
            await asyncio.to_thread(self._store.close, number, held.id, through)
        facts = await self._facts(held, number)
        try:
            counted = await asyncio.to_thread(self._store.counts, held.id, held.folded)
        except _UNREADABLE as error:
            return look.unread(held, str(error), facts, now_s)
        return look.judged(held, counted, facts, now_s)

    async def _shadowed(self, held: Rollout, number: int) -> Looked:
        now_s, counted_as, folded = self._now(), shadowed_as(held), shadow.load(held.shadow).folded
        through = look.complete(held, now_s, folded)
        if through > folded:
            await asyncio.to_thread(self._store.close, number, counted_as, through)
        facts = await self._facts(held, number)
        try:
            counted = await asyncio.to_thread(self._store.counts, counted_as, folded)
        except _UNREADABLE as error:
            return look.unread(held, str(error), facts, now_s)
        return look.shadowed(held, counted, facts, now_s)

    async def _facts(self, held: Rollout, number: int) -> Facts:
        unusable, starting, no_place = "", False, ""
        try:
            served = _served(await self._session("models"), held.model, held.canary)
            unusable = _unusable(served, held.canary)
            starting = held.own is not None and served is not None and served["pool"] != held.own["pool"]
        except ServingError as error:
            # Nobody who could say is there: that speaks neither for the canary nor against it.
            log.debug("the session does not say what it serves: %s", error.message)
        if starting:
            no_place = self._own.started(held, number)
        answer = self._webhooks.answer(held.id)
        this = answer.asked == _question_of(held)
        counted = counted_as(held)
        crashes = await asyncio.to_thread(self._store.crashes, counted)
        faults = await asyncio.to_thread(self._store.faults, counted)
        seen = await asyncio.to_thread(self._store.keys, counted)
        no = answer.why if this else ""
        return Facts(unusable, crashes, faults, starting, no_place, seen, agreed=this and answer.yes, no=no)

    async def _kept(self, found: Looked, number: int, before: Rollout | None = None) -> Rollout:
        """Store it, then have the session do it; what could not be done is tried again with the next look."""
        held = owing(replace(found.rollout, number=number), found.entry)
        if before is None or replace(before, number=number) != held:
            await self._save(held, number, found.entry)
        if not held.confirming_s:
            # Also after a person's order, which may be its end: then no look follows.
            self._webhooks.ask_no_more(held.id)
        shares = shares_of(held)
        wanted = repr(shares)
        if self._in_force.get(held.id) != wanted:
            try:
                await self._session("split", model=held.model, salt=held.id, fence=number, **shares.as_json())
            except UnknownModel as error:
                # Of an ended rollout nothing is left to be done.
                if not held.over:
                    raise
                log.warning("the end of rollout %s finds nothing to change: %s", held.id, error.message)
            self._in_force[held.id] = wanted
        if held.over and not held.settled:
            held = replace(held, settled=True)
            await self._save(held, number, None)
            self._in_force.pop(held.id, None)
            self._own.forget(held.id)
        return held

    async def _save(self, held: Rollout, number: int, entry: Document | None) -> None:
        document, live = rollout.dump(held), not held.settled or bool(held.owed)
        await asyncio.to_thread(lambda: self._store.save(number, document, live=live, entry=entry))


def _question_of(held: Rollout) -> str:
    """By what an answer of webhooks is known to be one to this question."""
    return f"{held.id}.{0 if held.standing is None else held.standing.step}.{held.confirming_s}"


def _after_order(held: Rollout, order: Order, now_s: float) -> Standing:
    if held.standing is not None:
        return transition.after_order(held.standing, held.in_force(), order, now_s)
    if order is not Order.ABORT:
        raise BadRequest(f"the stable version is being measured, so {order} does nothing; what is possible: abort")
    return Standing(Phase.ABORTED, 0, now_s, "aborted")


def _served(seen: Mapping[str, Any], model: str, canary: int) -> Mapping[str, Any] | None:
    versions: list[Any] = next((one["versions"] for one in seen["models"] if one["name"] == model), [])
    return next((one for one in versions if one["version"] == canary), None)


def _unusable(found: Mapping[str, Any] | None, canary: int) -> str:
    if found is None:
        return f"version {canary} is not served any more"
    return f"version {canary} was refused: {found['why']}" if found["state"] == "refused" else ""
