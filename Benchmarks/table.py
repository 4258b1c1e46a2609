"""Figures with their medians and spread, as a table and as JSON."""

import json
import statistics


class Table:
    def __init__(self):
        self._rows = {}

    def add(self, name, unit, value, aim=None):
        """One more value of that figure; the aim is `<= NUMBER`, `>= NUMBER` or none."""
        row = self._rows.setdefault(name, {"unit": unit, "aim": aim, "values": []})
        row["values"].append(value)
        print(f"   {name}: {value:.4g} {unit}", flush=True)

    def _verdict(self, row):
        if not row["aim"]:
            return ""
        word, number = row["aim"].split()
        median = statistics.median(row["values"])
        met = median <= float(number) if word == "<=" else median >= float(number)
        return f"{row['aim']}: {'met' if met else 'MISSED'}"

    def text(self):
        lines = [("figure", "median", "min", "max", "runs", "aim")]
        for name, row in self._rows.items():
            values = row["values"]
            numbers = [f"{value:.4g}" for value in (statistics.median(values), min(values), max(values))]
            lines.append((f"{name} [{row['unit']}]", *numbers, str(len(values)), self._verdict(row)))
        widths = [max(len(line[column]) for line in lines) for column in range(6)]
        return "\n".join(
            "  ".join(cell.ljust(width) if index in (0, 5) else cell.rjust(width)
                      for index, (cell, width) in enumerate(zip(line, widths))).rstrip() for line in lines)

    def save(self, path, facts):
        rows = {
            name: {**row, "median": statistics.median(row["values"]), "verdict": self._verdict(row)}
            for name, row in self._rows.items()}
        with open(path, "w") as file:
            json.dump({"machine": facts, "figures": rows}, file, indent=1)
            file.write("\n")
