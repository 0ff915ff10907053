# -*- coding: utf-8 -*-
"""Who buys."""


class Customer(object):
    def __init__(self, number, name, town=None):
        self.number = number
        self.name = name
        self.town = town

    def address(self):
        if self.town is None:
            return self.name
        return "%s, %s" % (self.name, self.town)


class TradeCustomer(Customer):
    """A customer who pays by invoice."""

    def __init__(self, number, name, town, days_to_pay=30):
        super(TradeCustomer, self).__init__(number, name, town)
        self.days_to_pay = days_to_pay


def towns(customers):
    return set([customer.town for customer in customers if customer.town])
