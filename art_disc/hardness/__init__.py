"""How hard a data set is to defend by discretisation."""
