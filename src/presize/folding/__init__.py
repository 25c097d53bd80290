"""k-fold cross-validation, and the models of the folds as one."""
