#!/usr/bin/env python3
"""Training speed of PyTorch on the network and the lines of a model version, beside what that version recorded.

    benches/torch_training.py models/hs/versions/1 labelled.parquet --text description --label hs6 --members 1

Needs torch, pyarrow and tokenizers. The network is the one of config.json (one member of it), the batch as in the recipe,
lines padded to the longest of their batch, AdamW with decoupled decay, dropout and label smoothing as there. Figures are
examples a second and examples a CPU-second of the process; those of harmonize are the median over its epochs, with every core
counted as busy, which flatters PyTorch.
"""
import argparse
import json
import os
import statistics
import time

import pyarrow.parquet as pq
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("version")
parser.add_argument("input")
parser.add_argument("--text", default="description")
parser.add_argument("--label", default="hs6")
parser.add_argument("--members", type=int, default=1)
parser.add_argument("--seconds", type=float, default=60)
args = parser.parse_args()


def read(name):
    with open(os.path.join(args.version, name), encoding="utf8") as file:
        return json.load(file)


config, metrics, codes = read("config.json"), read("metrics.json"), read("labels.json")["codes"]
fit = metrics["recipe"]["fit"]
dim, filters = config["embedding_dim"] // args.members, config["filters"] // args.members
classes = {code: n for n, code in enumerate(codes)}
tokenizer = Tokenizer.from_file(os.path.join(args.version, "tokenizer.json"))
table = pq.read_table(args.input, columns=[args.text, args.label]).to_pydict()
lines = [(t, classes[c]) for t, c in zip(table[args.text], table[args.label]) if t and c in classes]
ids = [e.ids for e in tokenizer.encode_batch([t for t, _ in lines])]
examples = [(i, c) for i, (_, c) in zip(ids, lines) if i]


class TextCnn(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Embedding(config["vocab_size"], dim, padding_idx=0)
        self.convs = torch.nn.ModuleList(torch.nn.Conv1d(dim, filters, w) for w in config["widths"])
        self.output = torch.nn.Linear(filters * len(config["widths"]), len(codes))

    def forward(self, x):
        e = self.embedding(x).transpose(1, 2)
        hidden = torch.cat([F.relu(conv(e)).amax(2) for conv in self.convs], 1)
        return self.output(F.dropout(hidden, fit["dropout"], self.training))


torch.manual_seed(1)
network = TextCnn()
optimiser = torch.optim.AdamW(network.parameters(), lr=fit["learning_rate"], weight_decay=fit["weight_decay"])
beyond = max(config["widths"]) - 1
order = torch.randperm(len(examples)).tolist()
seen, began, cpu = 0, None, None
while True:
    for start in range(0, len(order), fit["batch_rows"]):
        batch = [examples[n] for n in order[start : start + fit["batch_rows"]]]
        length = max(len(i) for i, _ in batch) + beyond
        x = torch.tensor([i + [0] * (length - len(i)) for i, _ in batch])
        y = torch.tensor([c for _, c in batch])
        loss = F.cross_entropy(network(x), y, label_smoothing=fit["label_smoothing"])
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), fit["clip_norm"] or 1e9)
        optimiser.step()
        if began is None:  # the first batch warms up
            began, cpu = time.perf_counter(), time.process_time()
        else:
            seen += len(batch)
            if time.perf_counter() - began > args.seconds:
                break
    else:
        continue
    break
elapsed, used = time.perf_counter() - began, time.process_time() - cpu
ours = statistics.median(epoch["examples_per_sec"] for epoch in metrics["fit"]["epochs"])
cores = len(os.sched_getaffinity(0))
print(f"PyTorch {torch.__version__}: {seen / elapsed:,.0f} examples/s, {seen / used:,.0f} a CPU-second")
print(f"harmonize: {ours:,.0f} examples/s, {ours / cores:,.0f} a CPU-second on {cores} cores")
print(f"ratio by CPU-second: {ours / cores / (seen / used):.1f}")
