import unittest

from stockroom.forecasts import Forecast


class ForecastsTest(unittest.TestCase):
    def test_advice_is_in_whole_items(self):
        self.assertEqual(Forecast("n1", 2.75).advice(3), "order 8 of n1")
