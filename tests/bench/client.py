# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# Shows the families of a text file (its argument) with Python's client library: as many series, with the same labels and bounds. For each
# byte on its standard input, which is a socket, it makes the body once and answers with the CPU time of that in ns and the lines.
import os
import sys
import time

os.environ["PROMETHEUS_DISABLE_CREATED_SERIES"] = "True"

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families


def add_values(kind, family, registry):
    metric = None
    for sample in family.samples:
        if metric is None:
            metric = kind(family.name, family.documentation, list(sample.labels), registry=registry)
        (metric.labels(**sample.labels) if sample.labels else metric).inc(sample.value)


def add_histograms(family, registry):
    bounds = {s.labels["le"]: float(s.labels["le"]) for s in family.samples if "le" in s.labels}
    metric = None
    for sample in family.samples:
        if not sample.name.endswith("_count"):
            continue
        if metric is None:
            metric = Histogram(family.name, family.documentation, list(sample.labels), registry=registry,
                               buckets=sorted(bounds.values()))
        for bound in bounds.values():
            metric.labels(**sample.labels).observe(min(bound, 1e6))


registry = CollectorRegistry()
with open(sys.argv[1]) as file:
    for family in text_string_to_metric_families(file.read()):
        if family.type == "histogram":
            add_histograms(family, registry)
        else:
            add_values(Counter if family.type == "counter" else Gauge, family, registry)
generate_latest(registry)
os.write(0, b"ready\n")
while os.read(0, 1):
    start = time.process_time_ns()
    body = generate_latest(registry)
    spent = time.process_time_ns() - start
    os.write(0, b"%d %d\n" % (spent, body.count(b"\n")))
