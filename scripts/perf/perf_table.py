# SPDX-License-Identifier: Apache-2.0
"""The figures of compare_peers as Markdown tables. Takes what was measured, computes medians and
ratios, invents nothing: what is missing is a dash."""

import statistics

# For Warren, whatever the others do.
GOAL_MEDIAN_MS = 0.3
GOAL_P99_MS = 2
GOAL_RESTART_SECONDS = 0.5


def number(value, digits=None):
    if value is None:
        return "–"
    if digits is None:
        digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}"


def times(value, digits=None):
    return "–" if value is None else number(value, digits) + "x"


def table(heads, rows):
    lines = ["| " + " | ".join(heads) + " |", "| " + " | ".join("---" for _ in heads) + " |"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


def of_kind(measured, kind):
    return [one for one in measured["results"] if one["kind"] == kind]


def rate_key(figures):
    """What went through the broker, or into it when nobody consumes."""
    return "consume_rate" if figures["consumers"] else "publish_rate"


def against_goal(value, goal, better):
    if value is None or goal is None:
        return "–"
    reached = value >= goal if better == "more" else value <= goal
    text = f"{goal:,.0f}" if goal >= 1000 else f"{goal:.3g}"
    return f"{text} ({'reached' if reached else 'missed'})"


def of_warren(name, value, goal):
    return against_goal(value, goal, "less") if name.startswith("warren") else "–"


def load_rows(measured):
    for one in of_kind(measured, "load"):
        figures = one["figures"]
        key = rate_key(figures)
        ours, theirs = (broker["medians"] for broker in figures["brokers"])
        ratios = figures["brokers"][1]["first_divided_by_this"]
        cpu = "server_cpu_us_per_message"
        yield [one["name"], str(one["threads"]), f"`{one['options']}`", number(ours.get(key)),
               number(theirs.get(key)), times(ratios.get(key)),
               against_goal(ratios.get(key), one["goal_rate"], "more"), number(ours.get(cpu)),
               number(theirs.get(cpu)), times(ratios.get(cpu), 3),
               against_goal(ratios.get(cpu), one["goal_cpu"], "less")]


def latency_rows(measured):
    for one in of_kind(measured, "load"):
        medians = [broker["medians"] for broker in one["figures"]["brokers"]]
        if "delivery_p50_ms" not in medians[0]:
            continue
        for broker, values in zip(one["figures"]["brokers"], medians):
            yield [one["name"], str(one["threads"]), broker["name"],
                   *(number(values.get(key), 2) for key in
                     ("delivery_p50_ms", "delivery_p95_ms", "delivery_p99_ms", "confirm_p50_ms",
                      "confirm_p99_ms")),
                   of_warren(broker["name"], values.get("delivery_p50_ms"), GOAL_MEDIAN_MS),
                   of_warren(broker["name"], values.get("delivery_p99_ms"), GOAL_P99_MS)]


def churn_rows(measured):
    for one in of_kind(measured, "churn"):
        rates = [statistics.median(run["pairs_per_second"] for run in runs)
                 for runs in one["figures"].values()]
        yield [one["name"], str(one["threads"]), one.get("waits", "asleep"), number(rates[0]),
               number(rates[1]), times(rates[0] / rates[1]),
               against_goal(rates[0], one["goal"], "more")]


def count_rows(measured):
    for one in of_kind(measured, "counts"):
        for name, figures in one["figures"].items():
            kib = figures["bytes_each"] / 1024 if "bytes_each" in figures else None
            rate = figures["per_second"]
            ours = name.startswith("warren")
            yield [one["name"], str(one["threads"]), name, one.get("waits", "asleep"),
                   number(figures["count"], 0),
                   number(rate, 0), against_goal(rate, one["goal_rate"] if ours else None, "more"),
                   number(kib, 1), against_goal(kib, one["goal_kib"] if ours else None, "less")]


def deep_rows(measured):
    for one in of_kind(measured, "deep"):
        for name, figures in one["figures"].items():
            fill = figures["fill"]
            peak = fill.get("server_anonymous_peak_bytes")
            yield [str(one["threads"]), name, number(one["messages"], 0),
                   number(fill["publish_rate"], 0), number(peak and peak / 2**20, 0),
                   number(fill["disk_bytes"] / 2**20, 0),
                   number(figures["restart"]["first_delivery_seconds"], 2),
                   of_warren(name, figures["restart"]["first_delivery_seconds"],
                             GOAL_RESTART_SECONDS),
                   number(figures["drain"]["consume_rate"], 0)]


SECTIONS = (
    ("Throughput and CPU", load_rows,
     ["scenario", "threads", "options", "Warren /s", "RabbitMQ /s", "ratio", "goal",
      "Warren us/msg", "RabbitMQ us/msg", "ratio", "goal"]),
    ("Latency, from when a message was due (ms)", latency_rows,
     ["scenario", "threads", "broker", "median", "p95", "p99", "confirm median", "confirm p99",
      "goal of the median", "goal of p99"]),
    ("Made and removed per second, one client", churn_rows,
     ["what", "threads", "client waits", "Warren /s", "RabbitMQ /s", "ratio", "goal"]),
    ("Held at the same time, made by one client", count_rows,
     ["what", "threads", "broker", "client waits", "count", "made per s", "goal",
      "KiB of memory each", "goal"]),
    ("Deep queue, 100 bytes each, persistent", deep_rows,
     ["threads", "broker", "messages", "filled per s", "anonymous peak MiB", "disk MiB",
      "kill -9 to first delivery, s", "goal", "drained per s"]),
)


def to_markdown(measured):
    machine = measured["machine"]
    out = [f"Measured {measured['date']} in {measured['minutes']} minutes: "
           f"{measured['versions'].get('warren', '')} and {measured['versions']['rabbitmq']}, on "
           f"{machine['cores']} cores ({machine['cpu']}), {machine['memory_gib']} GiB, "
           f"{machine['file_system']}, Linux {machine['kernel']}; medians of "
           f"{measured['pairs']} alternating run(s) of {measured['seconds_each']} s."]
    if measured["quick"]:
        out.append("A quick run: an impression, not a measurement.")
    for title, rows, heads in SECTIONS:
        rows = list(rows(measured))
        if rows:
            out += [f"### {title}", table(heads, rows)]
    if measured["failures"]:
        out += ["### Failed", "\n".join(f"- {failure}" for failure in measured["failures"])]
    return "\n\n".join(out) + "\n"
