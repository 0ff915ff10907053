# -*- coding: utf-8 -*-
"""What was ordered, and how much of it."""


class OrderError(Exception):
    pass


class Order(object):
    def __init__(self, number, lines):
        if not lines:
            raise OrderError("order %s has no lines" % number)
        self.number = number
        self.lines = list(lines)

    def cents(self):
        return sum(quantity * cents for _, quantity, cents in self.lines)

    def quantities(self):
        return dict([(code, quantity) for code, quantity, _ in self.lines])

    def __str__(self):
        return "order {}: {} lines".format(self.number, len(self.lines))
