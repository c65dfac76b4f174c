"""The steward's round: each delivery goes one state on as soon as what that state waits for has come."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import takewhile

from scp import log
from scp.config import Config
from scp.db.index import Index, Quiet
from scp.metrics import Metrics
from scp.outcome import Failure
from scp.state import ARRIVING, State
from scp.steward import headers
from scp.steward.gates import Candidate, Finding, Verdict, ask
from scp.steward.publish import Publisher
from scp.steward.report import Reports, worst
from scp.steward.signals import SIGNALS
from scp.stop import Stopping

WAITING = (State.PUBLISHING, State.APPROVED, State.CHECKED, State.QUIET)
"""States in which the steward has something to do, the ones nearest to the end first."""

PATIENCE_SECONDS = 5.0
"""How long an operator's command waits for what another process does with the same delivery."""

AHEAD_SECONDS = 60.0
"""How far an arrival may lie ahead of the clock: a clock that is set right by less lets a visit wait as long."""

_PAUSE_SECONDS = 0.05

_logger = log.get("steward")


class UnfitError(ValueError):
    """What an operator asked of a visit does not go with its state; its text is one sentence."""


@dataclass(frozen=True, slots=True)
class Steward:
    """Carries deliveries from complete to published, one after the other, in a process of its own."""

    index: Index
    publisher: Publisher
    metrics: Metrics
    config: Config
    now: Callable[[], float] = time.time
    beside: Callable[[Callable[[], None]], None] = lambda _alive: None  # what else its process does in each round

    def run(self, stop: Stopping, pause_seconds: float, alive: Callable[[], None] = lambda: None) -> None:
        """Go round until told to stop, calling `alive` each time; a visit that fails is tried again next time."""
        while not stop.wait(pause_seconds):
            alive()
            self.round(alive)
            self.beside(alive)

    def round(self, alive: Callable[[], None] = lambda: None) -> int:
        """One round; returns how many deliveries were published. A failure of one holds no other up."""
        try:
            self._bring_back(self.now())
            entries = [entry for state in WAITING for entry in self.index.in_state(state)]
            entries += [entry for entry in self.index.quiet(self.now()) if self._is_complete(entry)]
        except Failure as failure:
            _logger.error("round_failed", outcome=failure.outcome.label, why=failure.why)
            return 0
        done = 0
        for entry in entries:
            alive()
            done += self._carry(entry, "every signal says so")
        return done

    def _bring_back(self, now: float) -> None:
        """After a clock that was wrong was set back, a visit would be quiet only when it is as late again."""
        if count := self.index.bring_back(now + AHEAD_SECONDS, now):
            _logger.warning("clock_set_back", count=count)

    def publish_now(self, scan_research_id: str) -> State:
        """An operator's word that a visit is complete: no signal is awaited, its gates are asked anew.

        Returns the state that came of it. Raises UnfitError when there is nothing that could be published.
        """
        entry = self._latest(scan_research_id, State.PUBLISHED)
        if State.QUIET in entry.state.then and entry.state not in ARRIVING:
            self.index.enter(entry, State.QUIET, "an operator asks again")
            entry = self._now(entry)
        self._carry(entry, "an operator says so")
        return self._rest(entry)

    def decide(self, scan_research_id: str, state: State, reason: str) -> State:
        """A person's decision, approved or rejected, with its reason; returns the state that came of it.

        Raises UnfitError when the visit is in no state that this can be said of.
        """
        entry = self._latest(scan_research_id, state)
        if state not in entry.state.then:
            raise UnfitError(f"visit {scan_research_id} is {entry.state.label}, so it cannot be {state.label}")
        if not self.index.enter(entry, state, reason):
            raise UnfitError(f"visit {scan_research_id} has just changed; look at it again")
        if state is not State.APPROVED:
            return self._now(entry).state
        self._carry(self._now(entry), reason)
        return self._rest(entry)

    def _carry(self, entry: Quiet, why: str) -> bool:
        """As far as it goes now; whether it was published."""
        try:
            if entry.state in ARRIVING and not self.index.enter(entry, State.QUIET, why):
                return False
            while (step := self._step(now := self._now(entry))) and step(now):
                pass
            return self._now(entry).state is State.PUBLISHED
        except Failure as failure:
            visit = entry.delivery.scan_research_id
            _logger.error("steward_failed", visit=visit, outcome=failure.outcome.label, why=failure.why)
            return False

    def _rest(self, entry: Quiet) -> State:
        """The state that comes of it, where the node's own steward carries it too and is not done, or a worker adds."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (now := self._now(entry)).state in WAITING and time.monotonic() < deadline:
            time.sleep(_PAUSE_SECONDS)
            self._carry(now, "an operator says so")
        return self._now(entry).state

    def _step(self, entry: Quiet) -> Callable[[Quiet], bool] | None:
        """What the steward does for a delivery in this state; it returns whether there may be more to do."""
        steps: Mapping[State, Callable[[Quiet], bool]] = {
            State.QUIET: self._check,
            State.CHECKED: self._approve,
            State.APPROVED: self._publish,
            State.PUBLISHING: self._publish,
        }
        return steps.get(entry.state)

    def _check(self, entry: Quiet) -> bool:
        """Ask the gates; what they said is kept before it has any consequence."""
        delivery = entry.delivery
        folder = self.publisher.staging.root / delivery.folder
        visit = Candidate(folder, headers.of_visit(folder, self.index.files(delivery)), self.config.protocols)
        findings = ask(visit, weights(self.config))
        Reports(self.config.reports).write(delivery, visit, findings, self.now())
        for finding in findings:
            self.metrics.gate_findings.labels(finding.gate, finding.verdict.label).inc()
        state, why = _consequence(findings)
        _logger.info("checked", visit=delivery.scan_research_id, state=state.label, count=len(findings))
        return self.index.enter(entry, state, why)

    def _approve(self, entry: Quiet) -> bool:
        """By rule, unless a person has to: where the configuration says so, or a person rejected this once.

        So it stays when what was rejected has expired and is sent again, as another delivery.
        """
        if self.config.visit_approval:
            return self.index.enter(entry, State.HELD, "waits for approval")
        visit = self.index.of_visit(entry.delivery.scan_research_id)
        since = takewhile(lambda each: each.path is None, reversed(visit))  # the last one that was published
        if any(self.index.was(each.delivery, State.REJECTED) for each in since):
            return self.index.enter(entry, State.HELD, "was rejected before more came, so it waits for approval")
        return self.index.enter(entry, State.APPROVED, "no approval is asked for")

    def _publish(self, entry: Quiet) -> bool:
        delivery = entry.delivery
        if entry.state is State.PUBLISHING:
            path = self.publisher.resume(delivery, entry.path or "")
        else:
            path = self.publisher.publish(delivery)
        if path is None:
            return False
        count = len(self.index.files(delivery))
        self.metrics.published_visits.inc()
        self.metrics.published_instances.inc(count)
        _logger.info("published", visit=delivery.scan_research_id, path=str(path), count=count)
        return False

    def _is_complete(self, entry: Quiet) -> bool:
        return all(signal(entry, self.now(), self.config) for signal in SIGNALS.values())

    def _latest(self, scan_research_id: str, wish: State) -> Quiet:
        found = [entry for entry in self.index.of_visit(scan_research_id) if self.index.files(entry.delivery)]
        if not found:
            raise UnfitError(f"there is no visit {scan_research_id} with an instance")
        if found[-1].state is State.PUBLISHED:
            raise UnfitError(f"visit {scan_research_id} is published already, so it cannot be {wish.label}")
        return found[-1]

    def _now(self, entry: Quiet) -> Quiet:
        """The same delivery as the index has it by now."""
        visit = self.index.of_visit(entry.delivery.scan_research_id)
        return next(now for now in visit if now.delivery == entry.delivery)


def weights(config: Config) -> dict[str, Verdict]:
    """What the configuration makes of each gate's findings."""
    return {name: Verdict[weight.upper()] for name, weight in config.gates.model_dump().items()}


def _consequence(findings: list[Finding]) -> tuple[State, str]:
    verdict = worst(findings)
    if verdict < Verdict.HOLD:
        return State.CHECKED, f"{len(findings)} warnings" if findings else "the gates found nothing"
    gates = sorted({finding.gate for finding in findings if finding.verdict is verdict})
    state = State.HELD if verdict is Verdict.HOLD else State.QUARANTINED
    return state, f"{verdict.label} by {', '.join(gates)}"
