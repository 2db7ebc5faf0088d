"""Carrying out the steps of a runbook, and the decisions that people take about them."""
