# Tastebench on a CPU: docker build -t tastebench . ; docs/recipes.md says how to run it.
FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    TASTEBENCH_HOME=/home/taste/workspace \
    HF_HOME=/home/taste/workspace/.hub

RUN useradd --create-home --uid 10001 taste \
    && mkdir -p /home/taste/workspace \
    && chown taste:taste /home/taste/workspace

WORKDIR /home/taste/tastebench
COPY requirements.txt ./
# The CPU build of torch first: the requirements then find it and bring no CUDA along.
RUN pip install "$(grep '^torch==' requirements.txt)" --index-url https://download.pytorch.org/whl/cpu \
    && pip install -r requirements.txt
COPY . .

USER taste
VOLUME ["/home/taste/workspace"]
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=90s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/healthz', timeout=4)"]
ENTRYPOINT ["python", "launch.py"]
CMD ["serve", "--host", "0.0.0.0", "--no-open"]
