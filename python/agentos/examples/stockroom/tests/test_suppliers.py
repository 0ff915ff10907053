import unittest

from stockroom.suppliers import Importer, Supplier, lead_times, quickest


class SuppliersTest(unittest.TestCase):
    def setUp(self):
        self.mill, self.port = Supplier("Mill", 3), Importer("Port", 2, 9)

    def test_customs_make_an_importer_slow(self):
        self.assertEqual(self.port.promise(), "Port delivers within 11 days")
        self.assertEqual(lead_times([self.mill, self.port]), {"Mill": 3, "Port": 11})

    def test_the_quickest_is_asked_first(self):
        self.assertIs(quickest([self.port, self.mill]), self.mill)
        self.assertIsNone(quickest([]))
