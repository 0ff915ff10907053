import unittest

from stockroom.orders import Order, OrderError


class OrdersTest(unittest.TestCase):
    def setUp(self):
        self.order = Order(7, [("n1", 2, 350), ("f1", 3, 120)])

    def test_an_order_adds_up(self):
        self.assertEqual(self.order.cents(), 1060)
        self.assertEqual(self.order.quantities(), {"n1": 2, "f1": 3})
        self.assertEqual(str(self.order), "order 7: 2 lines")

    def test_an_empty_order_is_refused_by_number(self):
        with self.assertRaisesRegex(OrderError, "order 8 has no lines"):
            Order(8, [])
