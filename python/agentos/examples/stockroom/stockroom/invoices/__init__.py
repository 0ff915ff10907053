# -*- coding: utf-8 -*-
"""What is to be paid, and until when."""
from datetime import timedelta


class Invoice(object):
    def __init__(self, number, day, cents):
        self.number = number
        self.day = day
        self.cents = cents

    def due(self, days):
        return self.day + timedelta(days=days)

    def title(self):
        return "Invoice {} of {}".format(self.number, self.day)


class Reminder(Invoice):
    def __init__(self, invoice, round_number):
        super(Reminder, self).__init__(invoice.number, invoice.day, invoice.cents)
        self.round_number = round_number

    def title(self):
        return "Reminder %s: %s" % (self.round_number, super(Reminder, self).title())
