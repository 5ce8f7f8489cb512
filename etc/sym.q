/ The tables that the tickerplant serves.  A schema file of kdb+tick can stand
/ here as it is; the first two columns of each table are time and sym.
quote:([]time:`timespan$();sym:`g#`symbol$();bid:`float$();ask:`float$();bsize:`long$();asize:`long$())
trade:([]time:`timespan$();sym:`g#`symbol$();price:`float$();size:`long$())
