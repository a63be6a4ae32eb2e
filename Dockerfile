# What the labs' containers run: Python, the labs' requirements, and this source. `docker compose up lab-hol` builds it.
#
# The base may be any image with python3 >= 3.11 and its venv module. Where no registry can be reached, make one and name it:
#   SLEEPY_BASE_IMAGE=$(sudo tools/base-image) docker compose up lab-hol
ARG SLEEPY_BASE_IMAGE=python:3.13-slim
FROM ${SLEEPY_BASE_IMAGE}

# An environment of our own: distributions' Pythons refuse installs beside their packages (PEP 668).
RUN python3 -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PYTHONUNBUFFERED=1

# Requirements first, straight from pyproject.toml, so that a change of the source alone does not install them again.
WORKDIR /sleepy
COPY pyproject.toml ./
RUN python3 -c 'import tomllib; project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
print(*project["dependencies"], *project["optional-dependencies"]["labs"], sep="\n")' > /tmp/requirements.txt \
 && pip install --quiet --requirement /tmp/requirements.txt

# Matplotlib lists the fonts there are when first used, which takes seconds; here once, for whoever the lab will run as.
ENV MPLCONFIGDIR=/opt/matplotlib
RUN python3 -c 'import matplotlib.font_manager' && chmod -R a+rwX "$MPLCONFIGDIR"

COPY sleepy ./sleepy
COPY labs ./labs
RUN python3 -m compileall -q sleepy labs

ENTRYPOINT ["python3", "-m", "labs.worlds.containers"]
