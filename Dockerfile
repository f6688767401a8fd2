# syntax=docker/dockerfile:1
# The whole chain on GPUs: vLLM's own image and what fine-tuning adds to it.
#   docker build -t t2t .
#   docker run --rm --gpus all --ipc host --user "$(id -u):$(id -g)" \
#     -v "$PWD/runs:/opt/t2t/runs" -v "$PWD/weights:/opt/t2t/weights" -v t2t-cache:/cache \
#     t2t run recipe=retail_small
# The training command of the README: add `--entrypoint accelerate`, then `launch scripts/train.py recipe=...`.
# No weights are in the image; they and all caches live in mounted folders.
FROM vllm/vllm-openai:v0.33.0

WORKDIR /opt/t2t

# Dependencies first, so that a change of code does not install them again. What the image has stays as it is:
# its torch, vLLM and transformers belong together, and its own list of versions constrains what is added.
COPY pyproject.toml ./
RUN --mount=type=cache,target=/var/cache/uv \
    uv pip freeze --system | grep '==' > /opt/image.txt \
    && UV_CACHE_DIR=/var/cache/uv UV_LINK_MODE=copy uv pip install --system --compile-bytecode \
       --requirements pyproject.toml --extra train --constraints /opt/image.txt

COPY . .
RUN --mount=type=cache,target=/var/cache/uv \
    UV_CACHE_DIR=/var/cache/uv UV_LINK_MODE=copy uv pip install --system --no-deps --editable . \
    && (userdel --remove ubuntu 2>/dev/null || true) \
    && useradd --uid 1000 --create-home t2t \
    && mkdir -p /cache /home/any runs weights \
    && chmod 1777 /cache /home/any runs weights

# Any user id works: everything that is written at run time goes to a folder that all may write.
ENV HOME=/home/any \
    USER=t2t \
    XDG_CACHE_HOME=/cache \
    HF_HOME=/cache/huggingface \
    VLLM_CACHE_ROOT=/cache/vllm \
    TRITON_CACHE_DIR=/cache/triton \
    TORCHINDUCTOR_CACHE_DIR=/cache/inductor \
    PYTHONDONTWRITEBYTECODE=1 \
    VLLM_NO_USAGE_STATS=1 \
    DO_NOT_TRACK=1

VOLUME /cache
USER t2t
ENTRYPOINT ["t2t"]
CMD ["--help"]
