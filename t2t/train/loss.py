"""Cross-entropy only where labels are, chunk by chunk, so that no matrix of all logits ever exists.

The head's gradient is taken while a chunk's logits are at hand, in the forward pass; the backward
pass multiplies it by one number. The head is called as a module, so whatever wraps it (FSDP gathers
its weight there) works as for logits.
"""

from types import MethodType
from typing import Any, cast

import torch

_CHUNK = 1 << 25
"""Logits held at once; 128 MiB in float32."""


def add_loss(model: Any) -> None:
    """Let a causal language model be called for losses instead of logits.

    ``model(..., loss_positions=, targets=, token_weights=)``, all of shape (m,) for one sequence of
    shape (1, n), returns a dict: ``loss``, the sum of weight times negative log-likelihood in nats;
    ``nll`` of shape (m,), without gradient; ``num_correct``, the targets that are the likeliest
    token. A call without ``targets`` is what it was.
    """
    head = model.get_output_embeddings()
    own_forward, own_head = model.forward, head.forward
    scale, softcap = _logit_shape(model.config.get_text_config())

    def forward(
        self: Any,
        *args: Any,
        labels: Any = None,
        targets: Any = None,
        loss_positions: Any = None,
        token_weights: Any = None,
        **kwargs: Any,
    ) -> Any:
        if targets is None:
            return own_forward(*args, labels=labels, **kwargs)
        hidden = self.base_model(*args, **kwargs).last_hidden_state[0].index_select(0, loss_positions)
        loss, nll, num_correct = self.get_output_embeddings()(hidden, targets, token_weights)
        return {"loss": loss, "nll": nll, "num_correct": num_correct}

    def score(self: Any, hidden: torch.Tensor, targets: Any = None, token_weights: Any = None) -> Any:
        if targets is None:
            return own_head(hidden)
        wanted = torch.is_grad_enabled()
        return _WeightedLoss.apply(hidden, self.weight, self.bias, targets, token_weights, scale, softcap, wanted)

    model.forward = MethodType(forward, model)
    head.forward = MethodType(score, head)


def _logit_shape(config: Any) -> tuple[float, float | None]:
    """Factor and soft cap that some architectures put on their logits, from their configuration."""
    settings = cast(dict[str, Any], config.to_dict())
    softcap = settings.get("final_logit_softcapping")
    for name in ("logit_scale", "output_multiplier", "lm_head_multiplier"):
        if settings.get(name) is not None:
            return float(settings[name]), softcap
    divisor = settings.get("logits_scaling")
    if divisor is None:
        return 1.0, softcap
    return (float(divisor) if settings["model_type"] == "hyperclovax" else 1.0 / float(divisor)), softcap


class _WeightedLoss(torch.autograd.Function):
    """Sum of ``token_weights * nll`` with gradients for hidden states, weight and bias."""

    @staticmethod
    def forward(ctx: Any, *args: Any) -> Any:
        hidden, weight, bias, targets, token_weights, scale, softcap, wanted = args
        kind = hidden.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else hidden.dtype
        needed = [wanted and need for need in ctx.needs_input_grad[:3]]
        grads: list[Any] = [
            torch.zeros_like(one) if need else None for one, need in zip((hidden, weight, bias), needed, strict=True)
        ]
        nll = torch.empty(len(targets), dtype=torch.float32, device=hidden.device)
        num_correct = torch.zeros((), dtype=torch.float32, device=hidden.device)
        with torch.autocast(kind, enabled=False):
            head = weight.to(dtype)
            offset = None if bias is None else bias.to(dtype)
            step = max(1, _CHUNK // head.shape[0])
            for start in range(0, len(targets), step):
                part = slice(start, start + step)
                rows, wanted_ids = hidden[part].to(dtype), targets[part, None]
                logits = torch.nn.functional.linear(rows, head, offset).float()
                if scale != 1.0:
                    logits.mul_(scale)
                if softcap is not None:
                    logits.div_(softcap).tanh_().mul_(softcap)
                slope = None if softcap is None else 1 - (logits / softcap) ** 2
                most = logits.amax(-1, keepdim=True)
                chosen = logits.gather(1, wanted_ids)
                num_correct += (chosen >= most).sum()
                total = logits.sub_(most).exp_().sum(-1, keepdim=True)
                nll[part] = (total.log() + most - chosen)[:, 0]
                if not any(needed):
                    continue
                factor = token_weights[part, None]
                grad = logits.mul_(factor / total).scatter_add_(1, wanted_ids, -factor)
                if slope is not None:
                    grad.mul_(slope)
                if scale != 1.0:
                    grad.mul_(scale)
                if needed[2]:
                    grads[2] += grad.sum(0)
                grad = grad.to(dtype)
                if needed[0]:
                    grads[0][part] = grad @ head
                if needed[1]:
                    grads[1] += grad.t() @ rows
        ctx.grads = grads
        ctx.mark_non_differentiable(nll, num_correct)
        return (nll * token_weights).sum(), nll, num_correct

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        factor = grad_outputs[0]
        grads = [None if grad is None else grad * factor.to(grad.dtype) for grad in ctx.grads]
        return (*grads, None, None, None, None, None)
