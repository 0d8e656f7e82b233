from setuptools import setup

from build_backend import BuildKernels, PlatformWheel, kernels

setup(ext_modules=kernels(), cmdclass={"build_ext": BuildKernels, "bdist_wheel": PlatformWheel})
