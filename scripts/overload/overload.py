"""Offers the service five times its capacity, and checks whether its goodput stays the same."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from bench import Bench
from oha import Request, Results, Run
from prober import Answer, Prober, health_probes
from report import milliseconds, quantile
from service import Service

TIMES = 5
SECONDS = 30
PEAK_SECONDS = 10
LIGHT_SECONDS = 6
# The first second of a load opens its connections.
RAMP = 1
# Answers come in about ten batches a second, so a much shorter window would vary by single batches.
WINDOW = 10
# Enough for a mailbox and a batch of the default size and some refusals, so that no request waits in the generator.
CONNECTIONS = 1400

MEMORY_MIB = 64
GROWTH_MIB = 4
HEALTH_SECONDS = 0.050
REFUSAL_SECONDS = 0.010


@dataclass
class Overload:
    service: Service
    request: Request
    """The request of the overload."""
    samples: list[dict[str, object]]
    """Single requests through the same queue, to see how they are refused."""
    crowd: int
    """How many connections keep the database busy without a pause."""
    light_rate: float
    """Requests per second that the service handles easily."""
    quick: list[str] = field(default_factory=list)
    """Paths of other lanes, which must not suffer."""


def prove(bench: Bench, overload: Overload) -> list[Results]:
    """Measures and reports. Returns the results of every load."""
    paths = ["/health", "/ready", *overload.quick]
    # Less often than the slowest answer: a late one would shift the next sample.
    samples = [{"name": "sample", "every": 2.5, **sample} for sample in overload.samples]
    prober = bench.probe(overload.service, [*health_probes(*paths), *samples])

    idle = overload.service.memory()
    # First, so that the later measurements find everything warm.
    peak = bench.load(overload.service, overload.request, seconds=PEAK_SECONDS, connections=overload.crowd).finish()
    carried = peak.goodput(RAMP)
    bench.report.note("peak goodput", f"{carried:.0f}/s, {overload.crowd} connections without a pause")
    light = _light(bench, overload)

    # A little more than five times, because the generator may be a little late.
    rate = carried * TIMES * 1.03
    run = _heavy(bench, overload, rate)
    time.sleep(max(0.0, run.end - time.monotonic()))
    run.step_aside()
    # The next load is measured from its second second on, which is the third after the overload.
    time.sleep(max(0.0, run.end + 2 - RAMP - time.monotonic()))
    after = _light(bench, overload)
    bench.report.note("probes", f"run at niceness {prober.niceness()}, all else at 0")
    prober.stop()
    heavy = run.finish()

    _report_load(bench, heavy, carried)
    sampled = prober.answers("sample", run.start + RAMP, run.end)
    _report_refusals(bench, heavy, [answer for answer in sampled if answer.status == 503])
    for path in paths:
        _report_probe(bench, path, prober, run.start, run.end)
    _report_recovery(bench, light, after)
    second = _heavy(bench, overload, rate).finish()
    settled = overload.service.peak_memory()
    third = _heavy(bench, overload, rate).finish()
    _report_memory(bench, idle, settled, overload.service.peak_memory())
    return [light, peak, heavy, after, second, third]


def back_to_normal(before: float) -> float:
    """The limit of a latency that counts as unchanged, with room for noise."""
    return 1.5 * before + 0.002


def _heavy(bench: Bench, overload: Overload, rate: float) -> Run:
    return bench.load(overload.service, overload.request, seconds=SECONDS, connections=CONNECTIONS, rate=rate)


def _light(bench: Bench, overload: Overload) -> Results:
    """A load that the service handles easily, the same each time."""
    run = bench.load(
        overload.service, overload.request, seconds=LIGHT_SECONDS, connections=200, rate=overload.light_rate
    )
    return run.finish()


def _report_load(bench: Bench, heavy: Results, carried: float) -> None:
    check = bench.report.check
    offered = heavy.offered(RAMP)
    check("offered", f"{offered:.0f}/s", f">= {TIMES} x peak", offered >= TIMES * carried)
    goodput = heavy.goodput(RAMP)
    share = goodput / carried
    check(f"goodput, {SECONDS} s", f"{goodput:.0f}/s, {share:.1%} of peak", ">= 95% of peak", share >= 0.95)
    worst = min(heavy.goodput(since, since + WINDOW) for since in range(RAMP, SECONDS - WINDOW + 1)) / carried
    check(f"goodput, its worst {WINDOW} s", f"{worst:.1%} of peak", ">= 95% of peak", worst >= 0.95)
    served = heavy.latencies("good", RAMP)
    bench.report.note(
        "requests served, latency",
        f"p50 {milliseconds(quantile(served, 0.5))}, p99 {milliseconds(quantile(served, 0.99))}",
    )


def _report_refusals(bench: Bench, heavy: Results, sampled: list[Answer]) -> None:
    check = bench.report.check
    refused = heavy.latencies("refused", RAMP)
    p99 = quantile(refused, 0.99)
    measured = f"p50 {milliseconds(quantile(refused, 0.5))}, p99 {milliseconds(p99)} of {len(refused)}"
    check("refusals (503), latency", measured, f"p99 < {milliseconds(REFUSAL_SECONDS)}", p99 < REFUSAL_SECONDS)
    told = sum(answer.retry_after for answer in sampled)
    measured = f"{told} of {len(sampled)} sampled"
    check("refusals with Retry-After", measured, "all", bool(sampled) and told == len(sampled))
    failures = heavy.failures(503)
    check("neither served nor refused", failures or "none", "none", not failures)


def _report_probe(bench: Bench, path: str, prober: Prober, since: float, until: float) -> None:
    answers = prober.answers(path, since, until)
    took = [answer.took for answer in answers]
    p99 = quantile(took, 0.99)
    good = sum(answer.status == 200 for answer in answers)
    measured = f"p99 {milliseconds(p99)}, max {milliseconds(max(took))}, {good}/{len(answers)} 200"
    demand = f"p99 < {milliseconds(HEALTH_SECONDS)}, all 200"
    bench.report.check(path, measured, demand, p99 < HEALTH_SECONDS and good == len(answers))


def _report_memory(bench: Bench, idle: float, settled: float, peak: float) -> None:
    """A connection's memory grows until its largest answer, and the allocator's until the worst load. Unbounded growth
    shows when the same load repeats."""
    measured = f"{peak:.1f} MiB, idle {idle:.1f} MiB"
    bench.report.check("memory, peak of three loads", measured, f"<= {MEMORY_MIB} MiB", peak <= MEMORY_MIB)
    growth = peak - settled
    measured = f"{growth:+.1f} MiB"
    bench.report.check("memory, growth by the third", measured, f"<= {GROWTH_MIB:+} MiB", growth <= GROWTH_MIB)


def _report_recovery(bench: Bench, light: Results, after: Results) -> None:
    before, now = light.p99("good", RAMP), after.p99("good", RAMP)
    failures = after.failures()
    measured = f"p99 {milliseconds(now)}, before {milliseconds(before)}"
    if failures:
        measured += f"; {failures}"
    limit = back_to_normal(before)
    demand = f"p99 <= {milliseconds(limit)}, no refusals"
    bench.report.check("2 s after the load", measured, demand, now <= limit and not failures)
