"""A LoRA layer that costs little more than the layer it adapts, for weights in float32.

PEFT multiplies the input by the weight and by the two thin matrices, and adds. Here the thin
matrices are first folded into a copy of the weight, so the input passes one matrix, forwards and
backwards; the two gradients follow from thin products. The mathematics is the same. In bfloat16
the fold would round the update away, so PEFT's own layer stays in charge there.
"""

from typing import Any, cast

import torch
from peft import LoraConfig
from peft.tuners.lora import Linear as PeftLinear


def use_folded_linear(config: LoraConfig) -> None:
    """Have PEFT build `FoldedLinear` wherever `config` adapts a linear layer."""
    cast(Any, config)._register_custom_module({torch.nn.Linear: FoldedLinear})


class FoldedLinear(PeftLinear):
    """PEFT's adapted linear layer with another way to compute the same output."""

    def forward(self, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Adapt `x` of shape (..., in) to (..., out)."""
        layer = cast(Any, self)
        names = layer.active_adapters
        base = layer.get_base_layer()
        if layer.disable_adapters or layer.merged or len(names) != 1 or base.weight.dtype != torch.float32:
            return cast(Any, super()).forward(x, *args, **kwargs)
        name = names[0]
        output = _FoldedProduct.apply(
            x, base.weight, layer.lora_A[name].weight, layer.lora_B[name].weight, layer.scaling[name]
        )
        return output if base.bias is None else output + base.bias


class _FoldedProduct(torch.autograd.Function):
    """``x @ (W + s B A).T`` with gradients for x, A and B only."""

    @staticmethod
    def forward(ctx: Any, *args: Any) -> torch.Tensor:
        x, weight, lora_a, lora_b, scaling = args
        folded = torch.addmm(weight, lora_b, lora_a, alpha=scaling)
        ctx.save_for_backward(x, folded, lora_a, lora_b)
        ctx.scaling = scaling
        return torch.nn.functional.linear(x, folded)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        x, folded, lora_a, lora_b = ctx.saved_tensors
        grad = grad_outputs[0].reshape(-1, folded.shape[0])
        rows = x.reshape(-1, folded.shape[1])
        grad_x = (grad @ folded).view_as(x) if ctx.needs_input_grad[0] else None
        grad_a = (grad @ lora_b).t() @ rows * ctx.scaling
        grad_b = grad.t() @ (rows @ lora_a.t()) * ctx.scaling
        return grad_x, None, grad_a, grad_b, None
