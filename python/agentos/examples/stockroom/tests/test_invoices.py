import datetime
import unittest

from stockroom.invoices import Invoice, Reminder


class InvoicesTest(unittest.TestCase):
    def test_a_reminder_repeats_the_title_of_its_invoice(self):
        invoice = Invoice("A-3", datetime.date(2024, 5, 1), 9900)
        self.assertEqual(Reminder(invoice, 2).title(), "Reminder 2: Invoice A-3 of 2024-05-01")

    def test_an_invoice_is_due_some_days_later(self):
        invoice = Invoice("A-3", datetime.date(2024, 5, 1), 9900)
        self.assertEqual(invoice.due(30), datetime.date(2024, 5, 31))
