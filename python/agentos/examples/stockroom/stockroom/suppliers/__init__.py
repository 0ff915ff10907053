# -*- coding: utf-8 -*-
"""Where things come from."""


class Supplier(object):
    def __init__(self, name, lead_days):
        self.name = name
        self.lead_days = lead_days

    def promise(self):
        return "%s delivers within %s days" % (self.name, self.lead_days)


class Importer(Supplier):
    def __init__(self, name, lead_days, customs_days):
        super(Importer, self).__init__(name, lead_days + customs_days)
        self.customs_days = customs_days


def quickest(suppliers):
    ranked = sorted(suppliers, key=lambda supplier: (supplier.lead_days, supplier.name))
    return ranked[0] if ranked else None


def lead_times(suppliers):
    return dict((supplier.name, supplier.lead_days) for supplier in suppliers)
