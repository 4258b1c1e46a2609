"""The figures at the end."""


class Table:
    def __init__(self):
        self.rows = []

    def add(self, name, unit, value):
        shown = value if isinstance(value, str) else f"{value:.1f}"
        self.rows.append((name, shown, unit))
        print(f"   {name}: {shown} {unit}".rstrip(), flush=True)

    def text(self):
        width = max(len(row[0]) for row in self.rows)
        number = max(len(row[1]) for row in self.rows)
        return "\n" + "\n".join(f"{name:<{width}}  {value:>{number}} {unit}".rstrip() for name, value, unit in self.rows)
