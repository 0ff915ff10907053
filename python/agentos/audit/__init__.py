"""Proofs from the journal that outlive it: signed anchors, receipts, exports, and the check of each."""
