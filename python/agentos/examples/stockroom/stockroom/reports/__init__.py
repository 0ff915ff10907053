# -*- coding: utf-8 -*-
"""Lists for people."""


class Table(object):
    def __init__(self, titles):
        self.titles = titles
        self.rows = []

    def add(self, *cells):
        if len(cells) != len(self.titles):
            raise ValueError("%s cells for %s titles" % (len(cells), len(self.titles)))
        self.rows.append(cells)

    def lines(self):
        return [" | ".join(str(cell) for cell in row) for row in [self.titles] + self.rows]


class CountedTable(Table):
    def lines(self):
        return super(CountedTable, self).lines() + ["{} rows".format(len(self.rows))]
