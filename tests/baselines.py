"""Baselines in plain Python, from their definitions: the most frequent class, and the nearest line by TF-IDF and cosine.

Reads {"train": [[text, code], ...], "test": [...]} from the file that is its argument, prints the shares that are right."""
import collections
import json
import math
import sys


def grams(text):
    """Character n-grams (2 to 5) of words with a space on both sides, and how often each comes."""
    counts = collections.Counter()
    for word in text.split(" "):
        padded = f" {word} "
        for length in range(2, 6):
            for start in range(len(padded) - length + 1):
                counts[padded[start : start + length]] += 1
    return counts


def weights(text, rarity):
    raw = {gram: count * rarity(gram) for gram, count in sorted(grams(text).items())}
    length = math.sqrt(sum(weight * weight for weight in raw.values()))
    return {gram: weight / length for gram, weight in raw.items()}


def nearest(train, test):
    """For each test text the five best codes."""
    lines_with = collections.Counter()
    for text, _ in train:
        lines_with.update(set(grams(text)))
    rarity = lambda gram: math.log((1 + len(train)) / (1 + lines_with[gram])) + 1
    codes = {}
    for text, code in train:
        codes.setdefault(text, collections.Counter())[code] += 1
    # Texts in the order of their first lines; of one text the more frequent code first, of equals the lower one.
    texts = list(codes)
    ranked = [sorted(codes[text], key=lambda code: (-codes[text][code], code)) for text in texts]
    index = collections.defaultdict(list)
    for place, text in enumerate(texts):
        for gram, weight in weights(text, rarity).items():
            index[gram].append((place, weight))
    for text, _ in test:
        cosines = collections.Counter()
        for gram, weight in weights(text, rarity).items():
            for place, of in index.get(gram, ()):
                cosines[place] += weight * of
        best = {}
        for place in sorted(cosines):
            for rank, code in enumerate(ranked[place]):
                found = (-round(cosines[place], 6), place, rank)
                best[code] = min(best.get(code, found), found)
        yield sorted(best, key=best.get)[:5]


def shares(answers, test):
    right = lambda digits: sum(bool(a) and a[0][:digits] == c[:digits] for a, (_, c) in zip(answers, test)) / len(test)
    five = lambda digits: sum(c[:digits] in [o[:digits] for o in a[:5]] for a, (_, c) in zip(answers, test)) / len(test)
    return {
        "hs6": right(6),
        "hs4": right(4),
        "hs2": right(2),
        "hs6_top_five": five(6),
        "hs4_top_five": five(4),
        "hs2_top_five": five(2),
    }


def most(train, digits):
    counts = collections.Counter(code[:digits] for _, code in train)
    return sorted(counts, key=lambda code: (-counts[code], code))


def upsampled(train, cap):
    """Lines of each class again and again until there are as many as of the largest one, but at most the cap."""
    classes = collections.defaultdict(list)
    for line in train:
        classes[line[1]].append(line)
    rows = min(cap, max(map(len, classes.values())))
    return [lines[n % len(lines)] for _, lines in sorted(classes.items()) for n in range(max(rows, len(lines)))]


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        lines = json.load(file)
    train, test = lines["train"], lines["test"]
    answers = list(nearest(train, test))
    majority = shares([most(train, 6)[:5]] * len(test), test)
    for digits in (4, 2):
        ranked = most(train, digits)
        majority[f"hs{digits}"] = sum(c[:digits] == ranked[0] for _, c in test) / len(test)
        majority[f"hs{digits}_top_five"] = sum(c[:digits] in ranked[:5] for _, c in test) / len(test)
    # Distinct texts by their first line.
    texts = {}
    for (text, code), answer in zip(test, answers):
        texts.setdefault(text, int(bool(answer) and answer[0] == code))
    copies = list(nearest(upsampled(train, 100), test))
    support = collections.Counter(code for _, code in train)
    buckets = {}
    for name, least, end in (
        ("0", 0, 1), ("1 to 4", 1, 5), ("5 to 19", 5, 20), ("20 to 99", 20, 100), ("100 or more", 100, len(train) + 1),
    ):
        inside = [(a, c) for a, (_, c) in zip(answers, test) if least <= support[c] < end]
        right = sum(bool(a) and a[0] == c for a, c in inside)
        buckets[name] = [len(inside), right / len(inside) if inside else None]
    print(json.dumps({
        "majority": majority,
        "nearest": shares(answers, test),
        "nearest_after": shares(copies, test),
        "nearest_texts": list(texts.values()),
        "support": buckets,
    }))


main()
