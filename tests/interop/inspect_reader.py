"""Prints what Inspect itself reads in a log, as JSON; runs in an environment that has ``inspect-ai``."""

import json
import sys

from inspect_ai.log import list_eval_logs, read_eval_log, read_eval_log_sample_summaries, read_eval_log_samples

file = sys.argv[1]
log = read_eval_log(file)
summaries = read_eval_log_sample_summaries(file)
sys.stdout.write(
    json.dumps(
        {
            "version": log.version,
            "status": log.status,
            "task": log.eval.task,
            "model": log.eval.model,
            "created": log.eval.created,
            "num_tasks": log.eval.dataset.samples,
            "epochs": log.eval.config.epochs,
            "usage": {name: usage.output_tokens for name, usage in log.stats.model_usage.items()},
            "total": log.results.total_samples,
            "metrics": {name: metric.value for name, metric in log.results.scores[0].metrics.items()},
            "samples": [sample.model_dump(mode="json") for sample in log.samples],
            "streamed": sum(1 for _ in read_eval_log_samples(file, all_samples_required=False)),
            "summaries": [summary.model_dump(mode="json") for summary in summaries],
            "listed": [info.name.rpartition("/")[2] for info in list_eval_logs(file.rpartition("/")[0])],
        }
    )
)
