//! Which functions an old driver lacks.
//!
//! Up to 11.4 by the version that the toolkit's `cudaTypedefs.h` gives each function, later by the first
//! header that declares it. A driver may export a function before a header does; none lacks one of its
//! own header. Functions that later headers left out (`cuEventElapsedTime`, `cuCtxCreate_v2`) are in
//! every driver since.

/// The first version of a function, for those that came after 10.2.
const SINCE: &[(u32, &str)] = &[
    (
        11000,
        "\
        cuCtxResetPersistingL2Cache cuDevicePrimaryCtxRelease_v2 cuDevicePrimaryCtxReset_v2 \
        cuDevicePrimaryCtxSetFlags_v2 cuFuncGetModule cuGraphInstantiate_v2 cuGraphKernelNodeCopyAttributes \
        cuGraphKernelNodeGetAttribute cuGraphKernelNodeSetAttribute cuIpcOpenMemHandle_v2 \
        cuMemRetainAllocationHandle cuStreamCopyAttributes cuStreamGetAttribute cuStreamSetAttribute",
    ),
    (
        11010,
        "\
        cuArrayGetSparseProperties cuDeviceGetTexture1DLinearMaxWidth cuEventRecordWithFlags \
        cuGraphAddEventRecordNode cuGraphAddEventWaitNode cuGraphEventRecordNodeGetEvent \
        cuGraphEventRecordNodeSetEvent cuGraphEventWaitNodeGetEvent cuGraphEventWaitNodeSetEvent \
        cuGraphExecChildGraphNodeSetParams cuGraphExecEventRecordNodeSetEvent \
        cuGraphExecEventWaitNodeSetEvent cuGraphUpload cuMemMapArrayAsync \
        cuMipmappedArrayGetSparseProperties",
    ),
    (
        11020,
        "\
        cuArrayGetPlane cuDeviceGetDefaultMemPool cuDeviceGetMemPool cuDeviceSetMemPool \
        cuGraphAddExternalSemaphoresSignalNode cuGraphAddExternalSemaphoresWaitNode \
        cuGraphExecExternalSemaphoresSignalNodeSetParams cuGraphExecExternalSemaphoresWaitNodeSetParams \
        cuGraphExternalSemaphoresSignalNodeGetParams cuGraphExternalSemaphoresSignalNodeSetParams \
        cuGraphExternalSemaphoresWaitNodeGetParams cuGraphExternalSemaphoresWaitNodeSetParams \
        cuMemAllocAsync cuMemAllocFromPoolAsync cuMemFreeAsync cuMemPoolCreate cuMemPoolDestroy \
        cuMemPoolExportPointer cuMemPoolExportToShareableHandle cuMemPoolGetAccess cuMemPoolGetAttribute \
        cuMemPoolImportFromShareableHandle cuMemPoolImportPointer cuMemPoolSetAccess cuMemPoolSetAttribute \
        cuMemPoolTrimTo",
    ),
    (
        11030,
        "\
        cuFlushGPUDirectRDMAWrites cuGetProcAddress cuGraphDebugDotPrint cuGraphReleaseUserObject \
        cuGraphRetainUserObject cuStreamGetCaptureInfo_v2 cuStreamUpdateCaptureDependencies \
        cuUserObjectCreate cuUserObjectRelease cuUserObjectRetain",
    ),
    (
        11040,
        "\
        cuCtxCreate_v3 cuCtxGetExecAffinity cuDeviceGetExecAffinitySupport cuDeviceGetGraphMemAttribute \
        cuDeviceGetUuid_v2 cuDeviceGraphMemTrim cuDeviceSetGraphMemAttribute cuGraphAddMemAllocNode \
        cuGraphAddMemFreeNode cuGraphInstantiateWithFlags cuGraphMemAllocNodeGetParams \
        cuGraphMemFreeNodeGetParams",
    ),
    (
        11060,
        "\
        cuArrayGetMemoryRequirements cuGraphNodeGetEnabled cuGraphNodeSetEnabled \
        cuMipmappedArrayGetMemoryRequirements",
    ),
    (
        11070,
        "\
        cuGraphAddBatchMemOpNode cuGraphBatchMemOpNodeGetParams cuGraphBatchMemOpNodeSetParams \
        cuGraphExecBatchMemOpNodeSetParams cuMemGetHandleForAddressRange cuModuleGetLoadingMode \
        cuStreamBatchMemOp_v2 cuStreamWaitValue32_v2 cuStreamWaitValue64_v2 cuStreamWriteValue32_v2 \
        cuStreamWriteValue64_v2",
    ),
    (
        11080,
        "\
        cuLaunchKernelEx cuOccupancyMaxActiveClusters cuOccupancyMaxPotentialClusterSize",
    ),
    (
        12000,
        "\
        cuCtxGetId cuGetProcAddress_v2 cuGraphAddKernelNode_v2 cuGraphExecGetFlags \
        cuGraphExecKernelNodeSetParams_v2 cuGraphExecUpdate_v2 cuGraphInstantiateWithParams \
        cuGraphKernelNodeGetParams_v2 cuGraphKernelNodeSetParams_v2 cuKernelGetAttribute cuKernelGetFunction \
        cuKernelSetAttribute cuKernelSetCacheConfig cuLibraryGetGlobal cuLibraryGetKernel \
        cuLibraryGetManaged cuLibraryGetModule cuLibraryGetUnifiedFunction cuLibraryLoadData \
        cuLibraryLoadFromFile cuLibraryUnload cuStreamGetId cuTensorMapEncodeIm2col cuTensorMapEncodeTiled \
        cuTensorMapReplaceAddress",
    ),
    (
        12010,
        "\
        cuCoredumpGetAttribute cuCoredumpGetAttributeGlobal cuCoredumpSetAttribute \
        cuCoredumpSetAttributeGlobal cuCtxSetFlags cuMulticastAddDevice cuMulticastBindAddr \
        cuMulticastBindMem cuMulticastCreate cuMulticastGetGranularity cuMulticastUnbind",
    ),
    (
        12020,
        "\
        cuGraphAddNode cuGraphExecNodeSetParams cuGraphNodeSetParams cuMemAdvise_v2 cuMemPrefetchAsync_v2",
    ),
    (
        12030,
        "\
        cuFuncGetName cuGraphAddDependencies_v2 cuGraphAddNode_v2 cuGraphConditionalHandleCreate \
        cuGraphGetEdges_v2 cuGraphNodeGetDependencies_v2 cuGraphNodeGetDependentNodes_v2 \
        cuGraphRemoveDependencies_v2 cuKernelGetName cuStreamBeginCaptureToGraph cuStreamGetCaptureInfo_v3 \
        cuStreamUpdateCaptureDependencies_v2",
    ),
    (
        12040,
        "\
        cuCtxFromGreenCtx cuCtxGetDevResource cuDevResourceGenerateDesc cuDevSmResourceSplitByCount \
        cuDeviceGetDevResource cuDeviceRegisterAsyncNotification cuDeviceUnregisterAsyncNotification \
        cuFuncGetParamInfo cuFuncIsLoaded cuFuncLoad cuGreenCtxCreate cuGreenCtxDestroy \
        cuGreenCtxGetDevResource cuGreenCtxRecordEvent cuGreenCtxWaitEvent cuKernelGetParamInfo \
        cuLibraryEnumerateKernels cuLibraryGetKernelCount cuModuleEnumerateFunctions \
        cuModuleGetFunctionCount cuStreamGetGreenCtx",
    ),
    (
        12050,
        "\
        cuCtxCreate_v4 cuCtxRecordEvent cuCtxWaitEvent cuGreenCtxStreamCreate cuKernelGetLibrary \
        cuStreamGetCtx_v2",
    ),
    (
        12080,
        "\
        cuEventElapsedTime_v2 cuMemBatchDecompressAsync cuMemcpy3DBatchAsync cuMemcpyBatchAsync \
        cuStreamGetDevice cuTensorMapEncodeIm2colWide",
    ),
    (
        12090,
        "\
        cuLogsCurrent cuLogsDumpToFile cuLogsDumpToMemory cuLogsRegisterCallback cuLogsUnregisterCallback",
    ),
    (
        13000,
        "\
        cuCtxGetDevice_v2 cuCtxSynchronize_v2 cuDeviceGetHostAtomicCapabilities \
        cuDeviceGetP2PAtomicCapabilities cuGreenCtxGetId cuMemDiscardAndPrefetchBatchAsync \
        cuMemDiscardBatchAsync cuMemGetDefaultMemPool cuMemGetMemPool cuMemPrefetchBatchAsync \
        cuMemSetMemPool cuMemcpy3DBatchAsync_v2 cuMemcpyBatchAsync_v2",
    ),
];

/// The functions that a driver of this version does not have.
pub(crate) fn later_than(version: u32) -> impl Iterator<Item = &'static str> {
    SINCE.iter().filter(move |(since, _)| *since > version).flat_map(|(_, names)| names.split_whitespace())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_function_comes_once_and_stays() {
        assert!(SINCE.is_sorted_by(|a, b| a.0 < b.0));
        let (all, different) = (later_than(0), later_than(0).collect::<BTreeSet<_>>());
        assert_eq!(all.count(), different.len());
        assert_eq!(later_than(13000).next(), None);
    }

    #[test]
    fn what_this_crate_of_streams_falls_back_from() {
        let lacks = |version, name| later_than(version).any(|later| later == name);
        let functions = [
            ("cuStreamGetId", 12000),
            ("cuEventElapsedTime_v2", 12080),
            ("cuDeviceGetUuid_v2", 11040),
            ("cuStreamGetGreenCtx", 12040),
            ("cuStreamGetCtx_v2", 12050),
        ];
        for (name, since) in functions {
            assert!(lacks(since - 1, name) && !lacks(since, name), "{name}");
        }
    }
}
