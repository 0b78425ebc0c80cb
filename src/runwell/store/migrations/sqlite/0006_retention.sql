-- What is not kept for ever.
--
-- `log_pruned` says how far it has gone: 0 the log is there, 1 it is gone, 2 it is going (a long one goes in
-- slices), 3 it is gone and the steps are going. To whoever reads the log all but 0 are the same.
-- 0 and 1 take no byte of a row, so the usual step from one to the other leaves all else where it is.
--
-- Only runs that have ended are in the index: a submit does not touch it, nor does what an attempt says.
CREATE INDEX runs_ended ON runs (log_pruned, finished_at) WHERE finished_at IS NOT NULL;
