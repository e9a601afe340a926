"""Parses the Prometheus text format from standard input with Prometheus' own client for Python; families as JSON."""

import json
import sys

from prometheus_client.parser import text_string_to_metric_families

families = []
for family in text_string_to_metric_families(sys.stdin.read()):
    families.append(
        {
            "name": family.name,
            "type": family.type,
            "help": family.documentation,
            "samples": [
                {"name": s.name, "labels": s.labels, "value": repr(float(s.value))} for s in family.samples
            ],
        }
    )
json.dump(families, sys.stdout)
