# SPDX-License-Identifier: Apache-2.0
"""The figures of measure_limits as Markdown tables. Computes medians and ratios, invents nothing:
what is missing is a dash."""

import statistics

from perf_table import number, table, times

MEBI = 1 << 20


def median(runs, key):
    values = [run[key] for run in runs if key in run]
    return statistics.median(values) if values else None


def mebi(value):
    return number(None if value is None else value / MEBI, 0)


def divided(one, other):
    return one / other if one is not None and other else None


def rate_rows(runs):
    """The first row is what the others are compared with: by what was delivered, or published when
    nobody consumes."""
    first = None
    for name, all_of_it in runs.items():
        rate = median(all_of_it, "consume_rate")
        cpu = median(all_of_it, "server_cpu_us_per_message")
        published = median(all_of_it, "publish_rate")
        first = first or rate or published
        compared = times(divided(rate or published, first))
        yield [name, number(published), number(rate), compared, number(cpu),
               mebi(median(all_of_it, "server_anonymous_peak_bytes"))]


RATE_HEADS = ["load", "published /s", "delivered /s", "against the first",
              "broker us/msg published", "anonymous peak MiB"]


def depth_table(one):
    bodies, fill, drain = one["body_bytes"], one["fill"], one["drain"]
    heads = ["messages", "filled /s", "anonymous peak MiB", "disk MiB", "disk / bodies",
             "written / bodies", "kill -9 to first delivery, s", "drained /s",
             "anonymous peak MiB", "written in draining / bodies", "disk a minute after, MiB"]
    row = [number(one["messages"], 0), number(fill["publish_rate"], 0),
           mebi(fill.get("server_anonymous_peak_bytes")), mebi(fill["disk_bytes"]),
           number(fill["disk_bytes"] / bodies, 2), number(one["written"] / bodies, 2),
           number(one["restart"]["first_delivery_seconds"], 2),
           number(drain["consume_rate"], 0), mebi(drain.get("server_anonymous_peak_bytes")),
           number(one["drain_written"] / bodies, 2), mebi(one["disk_after"])]
    return table(heads, [row])


def held_table(one):
    each = one.get("bytes_each")
    return table(["held", "count", "made per s", "KiB of memory each"],
                 [[one["counts"], number(one["count"], 0), number(one["per_second"], 0),
                   number(None if each is None else each / 1024)]])


def latency_table(runs):
    rows = []
    for name, all_of_it in runs.items():
        latencies = [run["delivery_latency"] for run in all_of_it]
        rows.append([name] + [number(median(latencies, key), 2) for key in
                              ("p50_ms", "p95_ms", "p99_ms", "p999_ms")])
    return table(["fast consumer", "median ms", "p95", "p99", "p99.9"], rows)


def large_table(one):
    size = 128 * MEBI
    return table(["messages of 128 MiB", "verified", "MiB/s", "anonymous peak MiB"],
                 [[number(one["consumed"], 0),
                   "sound" if one["verified"]["sound"] else "NOT SOUND",
                   number(one["consumed"] * size / MEBI / one["seconds"], 0),
                   mebi(one.get("server_anonymous_peak_bytes"))]])


def shard_table(cases):
    rows = []
    for name, runs in cases.items():
        rows += [[f"{name}, {row[0]} shard(s)", *row[1:]] for row in rate_rows(runs)]
    return table(RATE_HEADS, rows)


def rate_table(runs):
    return table(RATE_HEADS, rate_rows(runs))


SECTIONS = {
    "deep-queue": ("One deep queue, 100 bytes each, persistent", depth_table),
    "many-queues": ("Many queues, ten messages of 100 bytes in each",
                    lambda one: held_table(one["held"]) + "\n\n" + depth_table(one)),
    "connections": ("Connections, each with a channel", held_table),
    "consumers": ("Consumers of one queue", rate_table),
    "fan-out": ("Fan-out, persistent, with confirms", rate_table),
    "topic": ("Topic exchange, one binding of all matches", rate_table),
    "slow-beside-fast": ("A fast consumer (5,000/s) alone, and beside others", latency_table),
    "large-messages": ("Large messages", large_table),
    "shards": ("Shards; persistent with confirms, unless it says transient", shard_table),
}


def to_markdown(measured):
    host = measured["machine"]
    out = [f"Measured {measured['date']} in {measured['minutes']} minutes: "
           f"{measured['version']}, on {host['cores']} cores ({host['cpu']}), "
           f"{host['memory_gib']} GiB, {host['file_system']}, Linux {host['kernel']}; "
           f"rates and latencies are medians of {measured['rounds']} alternating run(s) of "
           f"{measured['seconds_each']} s. Written and on disk: of the broker, as multiples of "
           "the bodies' bytes."]
    if measured["quick"]:
        out.append("A quick run: an impression, not a measurement.")
    for name, (title, render) in SECTIONS.items():
        if name in measured["results"]:
            out += [f"### {title}", render(measured["results"][name])]
    if measured["failures"]:
        out += ["### Failed", "\n".join(f"- {failure}" for failure in measured["failures"])]
    return "\n\n".join(out) + "\n"
