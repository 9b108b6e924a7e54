"""Text classifiers and regressions: texts leave the network early."""
