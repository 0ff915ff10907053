import unittest

from stockroom.customers import Customer, TradeCustomer, towns


class CustomersTest(unittest.TestCase):
    def test_an_address_has_a_town_where_one_is_known(self):
        self.assertEqual(Customer(1, "Ada").address(), "Ada")
        self.assertEqual(TradeCustomer(2, "Bo & Co", "Bath").address(), "Bo & Co, Bath")

    def test_towns_are_counted_once(self):
        people = [Customer(1, "Ada", "Bath"), Customer(2, "Bo", "Bath"), Customer(3, "Cy")]
        self.assertEqual(towns(people), {"Bath"})
