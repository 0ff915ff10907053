# -*- coding: utf-8 -*-
"""What will be needed."""


class Forecast(object):
    """Needs a steady look: `%d` rounds down, and people rely on it."""

    def __init__(self, code, sold_a_day):
        self.code = code
        self.sold_a_day = sold_a_day

    def for_days(self, days):
        return self.sold_a_day * days

    def advice(self, days):
        return "order %d of %s" % (self.for_days(days), self.code)
