"""Whole workloads played under a controller on a modelled board."""
