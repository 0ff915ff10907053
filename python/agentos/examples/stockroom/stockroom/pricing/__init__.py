# -*- coding: utf-8 -*-
"""Prices in cents, and what they look like."""


class Discount(object):
    def __init__(self, percent):
        self.percent = percent

    def of(self, cents):
        return cents - cents * self.percent // 100

    def __repr__(self):
        return "Discount(%s)" % (self.percent,)


def parse(text):
    """Turn `12.50` into 1250."""
    whole, _, rest = text.partition(".")
    try:
        return int(whole) * 100 + int((rest + "00")[:2])
    except ValueError:
        raise ValueError("not a price: {}".format(text))


def show(cents):
    return "{}.{:02d}".format(cents // 100, cents % 100)
