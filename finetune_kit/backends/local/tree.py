"""Completions as a prefix tree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(slots=True)
class Tree:
    """Completions as a prefix tree; only what stands before a fork has to be seen by the model.

    Node 0 is the end of the prompt. `forks` lists the nodes where completions part, with the tokens they part into.
    """

    tokens: list[int] = field(default_factory=lambda: [0])
    parents: list[int] = field(default_factory=lambda: [-1])
    depths: list[int] = field(default_factory=lambda: [0])
    forks: list[tuple[int, list[int]]] = field(default_factory=list[tuple[int, list[int]]])
    paths: list[list[tuple[int, int]]] = field(default_factory=list[list[tuple[int, int]]])
    """For each completion, its choices: (index of the fork, index of the token chosen there)."""

    @classmethod
    def of(cls, completions: Sequence[Sequence[int]]) -> Tree:
        tree = cls(paths=[[] for _ in completions])
        waiting = [(0, list(range(len(completions))))]
        while waiting:
            waiting += tree._part(*waiting.pop(), completions)
        return tree

    def _part(self, node: int, members: list[int], completions: Sequence[Sequence[int]]) -> list[tuple[int, list[int]]]:
        """Follow `members`, which are the same up to `node`, to where they part; return the groups that go on."""
        if len(members) < 2:
            return []
        groups: dict[int, list[int]] = {}
        for member in members:
            groups.setdefault(completions[member][self.depths[node]], []).append(member)
        if len(groups) > 1:
            for place, group in enumerate(groups.values()):
                for member in group:
                    self.paths[member].append((len(self.forks), place))
            self.forks.append((node, list(groups)))
        return [(self._add(node, token), group) for token, group in groups.items() if len(group) > 1]

    def _add(self, parent: int, token: int) -> int:
        self.tokens.append(token)
        self.parents.append(parent)
        self.depths.append(self.depths[parent] + 1)
        return len(self.tokens) - 1

    def lineage(self) -> torch.Tensor:
        """(nodes, nodes) without node 0: whether one node sees another, which is itself and its ancestors."""
        import torch

        nodes = len(self.tokens)
        sees = torch.eye(nodes, dtype=torch.bool)
        for node in range(1, nodes):  # parents stand before their children
            sees[node] |= sees[self.parents[node]]
        return sees[1:, 1:]

    def probabilities(self, shares: Sequence[Sequence[float]]) -> list[float]:
        """Each completion's, from the shares of the branches at every fork."""
        result: list[float] = []
        for path in self.paths:
            probability = 1.0
            for fork, place in path:
                probability *= shares[fork][place]
            result.append(probability)
        return result

    def common(self) -> list[int]:
        """What all completions begin with: the tokens up to the first fork."""
        return self._chain(0)[1:]

    def branches(self) -> list[list[tuple[int, list[int]]]]:
        """For each fork, where its branches lead: the next fork, and the tokens up to it; -1 where one is decided."""
        children: dict[tuple[int, int], int] = {}
        for node in range(1, len(self.tokens)):
            children[self.parents[node], self.tokens[node]] = node
        numbers = {node: number for number, (node, _) in enumerate(self.forks)}
        result: list[list[tuple[int, list[int]]]] = []
        for node, tokens in self.forks:
            leading: list[tuple[int, list[int]]] = []
            for token in tokens:
                child = children.get((node, token))
                path: list[int] = []
                while child is not None:
                    path.append(child)
                    child = None if child in numbers else self._only_child(child)
                leading.append((numbers[path[-1]], [self.tokens[one] for one in path]) if path else (-1, []))
            result.append(leading)
        return result

    def _only_child(self, node: int) -> int:
        return self.parents.index(node)

    def _chain(self, node: int) -> list[int]:
        """The tokens from a node up to the first fork behind it."""
        forks = {fork for fork, _ in self.forks}
        tokens = [self.tokens[node]]
        while node not in forks:
            node = self._only_child(node)
            tokens.append(self.tokens[node])
        return tokens
