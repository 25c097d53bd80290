"""Data that comes out of tar shards and Hugging Face data sets, one sample after another."""
