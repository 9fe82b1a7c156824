# Tastebench on a CPU: docker build -t tastebench . ; docs/deploy.md says how to run it.
FROM python:3.11-slim-bookworm

# Where torch comes from. For a GPU: --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu130, or as pytorch.org says.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

ENV PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    TASTEBENCH_HOME=/home/taste/workspace \
    HF_HOME=/home/taste/workspace/.hub \
    MPLCONFIGDIR=/home/taste/workspace/.matplotlib

# 1000 is the user as which a Hugging Face Space runs a container.
RUN useradd --create-home --uid 1000 taste \
    && mkdir -p /home/taste/workspace \
    && chown taste:taste /home/taste/workspace

WORKDIR /home/taste/tastebench
COPY requirements.txt requirements.lock ./
# torch alone first: the requirements then find it and bring no other build along, and its index need not have the rest.
RUN pip install --no-deps "$(grep '^torch==' requirements.txt)" --index-url "$TORCH_INDEX" \
    && pip install -r requirements.txt -c requirements.lock
COPY . .

USER taste
VOLUME ["/home/taste/workspace"]
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=90s \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f\"http://127.0.0.1:{os.environ.get('PORT') or 7860}/healthz\", timeout=4)"]
ENTRYPOINT ["python", "launch.py"]
CMD ["serve", "--host", "0.0.0.0", "--no-open"]
