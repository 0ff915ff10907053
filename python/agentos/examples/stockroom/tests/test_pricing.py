import unittest

from stockroom.pricing import Discount, parse, show


class PricingTest(unittest.TestCase):
    def test_a_price_reads_back_as_it_shows(self):
        for cents in (0, 5, 99, 100, 1250):
            self.assertEqual(parse(show(cents)), cents)

    def test_what_is_no_price_is_named(self):
        with self.assertRaisesRegex(ValueError, "not a price: many"):
            parse("many")

    def test_a_discount_never_rounds_in_the_shop_s_favour(self):
        self.assertEqual(Discount(10).of(999), 900)
        self.assertEqual(repr(Discount(10)), "Discount(10)")
